// @ts-check
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

/**
 * The machine that figures come from, for whoever reads them later.
 */
export function machineInfo() {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cpus: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    os: `${os.type()} ${os.release()} ${os.arch()}`,
    virtual: virtualization(),
    congestionControl: congestionControl(),
    node: process.version,
    v8: process.versions.v8,
    loadAverage: os.loadavg()[0] ?? Number.NaN,
  };
}

/** 'kvm', 'none' and the like; a virtual machine's processors may be shared with strangers. */
function virtualization() {
  try {
    const text = execFileSync('lscpu', { encoding: 'utf8' });
    return /^Hypervisor vendor:\s*(.+)$/m.exec(text)?.[1] ?? 'none';
  } catch {
    return 'unknown';
  }
}

/** Of TCP, on loopback too: 'bbr' paces what it sends and costs more than 'cubic'. */
function congestionControl() {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'latin1').trim();
  } catch {
    return 'unknown';
  }
}
