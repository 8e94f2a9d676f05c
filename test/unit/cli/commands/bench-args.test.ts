import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { benchHelp, inFlags, parseBenchArgs } from '../../../../src/cli/commands/bench-args.ts';
import { BENCH_LIMITS } from '../../../../src/options/bench-options.ts';
import { type Limit, limitText } from '../../../../src/options/option.ts';

const URL = 'ws://localhost:9001';
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-args-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const options = (...argv: string[]): unknown => parseBenchArgs([URL, ...argv])!.options;

describe('the command line of bench', () => {
  it('has autocannon’s short flags', () => {
    const args = ['-c', '3', '-p', '4', '-d', '5', '-w', '2', '-s', '7', '-r', '8', '-t', '9', '-W', '1'];
    expect(options(...args)).toMatchObject({
      url: URL,
      connections: 3,
      pipelining: 4,
      duration: 5,
      workers: 2,
      size: 7,
      connectionRate: 8,
      timeout: 9,
      warmup: 1,
    });
    expect(options('-a', '9', '-R', '5')).toMatchObject({ amount: 9, overallRate: 5 });
  });

  it('says how to print', () => {
    expect(parseBenchArgs([URL])).toMatchObject({ json: false, html: '', latency: false, progress: true });
    expect(parseBenchArgs([URL, '-j'])).toMatchObject({ json: true, progress: false });
    expect(parseBenchArgs([URL, '-l', '-n', '--html', 'a.html'])).toMatchObject({
      latency: true,
      progress: false,
      html: 'a.html',
    });
  });

  it('has subprotocols and headers more than once', () => {
    expect(
      options('-T', 'a,b', '-T', 'c', '-H', 'Origin=https://x', '-H', 'Cookie: a=b; c=d', '--insecure'),
    ).toMatchObject({
      protocols: ['a', 'b', 'c'],
      headers: { Origin: 'https://x', Cookie: 'a=b; c=d' },
      insecure: true,
    });
  });

  it('has a message: text by -m, a file by -i, and its kind', () => {
    expect(options('-m', 'hello')).toMatchObject({ message: 'hello', binary: false });
    expect(options('-m', 'hello', '--binary')).toMatchObject({ binary: true });
    expect(options('-s', '5', '--text')).toMatchObject({ size: 5, binary: false });
    expect(options('-i', file('text', 'größer'))).toMatchObject({
      message: Buffer.from('größer'),
      binary: false,
    });
    expect(options('-i', file('bytes', Uint8Array.of(255)))).toMatchObject({ binary: true });
  });

  it.each([
    [[], 'name the server: millrace bench ws://localhost:9001'],
    [[URL, 'ws://other'], 'one server is measured at a time'],
    [[URL, '-c', '0'], '--connections must be an integer from 1 to 1000000 (connections)'],
    [[URL, '-c', 'many'], "got 'many'"],
    [[URL, '-d', '1', '-a', '1'], '--amount and --duration exclude each other'],
    [[URL, '-m', 'x', '-s', '5'], '--size and --message exclude each other'],
    [[URL, '--text', '--binary'], '--text and --binary exclude each other'],
    [[URL, '-i', '/does/not/exist'], '--input: cannot read /does/not/exist'],
    [[URL, '-H', 'Origin'], '--header must be NAME=VALUE'],
    [
      [URL, '--scenario', 'ehco'],
      "--scenario must be echo, broadcast, connect, idle, slow or stomp; got 'ehco'; did you mean echo?",
    ],
    [[URL, '--connectoins', '5'], 'there is no flag --connectoins; did you mean --connections?'],
  ])('%j is a mistake', (argv, message) => {
    expect(() => parseBenchArgs(argv)).toThrow(message);
  });

  it('refuses to send as text what is none', () => {
    expect(() => options('-i', file('latin', Uint8Array.of(255)), '--text')).toThrow('is not UTF-8');
  });

  it('takes what a STOMP broker is told', () => {
    const argv = [
      '--scenario',
      'stomp',
      '--consumers',
      '3',
      '--ack-mode',
      'client',
      '--receipts',
      '--login',
      'ann',
    ];
    expect(options(...argv, '--passcode', 'x', '--virtual-host', '/', '-T', 'v11.stomp')).toMatchObject({
      scenario: 'stomp',
      consumers: 3,
      ackMode: 'client',
      receipts: true,
      login: 'ann',
      passcode: 'x',
      virtualHost: '/',
      protocols: ['v11.stomp'],
    });
  });

  it('names options as flags', () => {
    expect(inFlags("bench: 'connectionRate' and 'workers', but not 'echo'")).toBe(
      "--connection-rate and --workers, but not 'echo'",
    );
  });

  it('has a help with every numeric option, its unit, default and range, in 80 columns', () => {
    expect(parseBenchArgs(['-h'])).toBeNull();
    const help = benchHelp().replace(/\s+/g, ' ');
    for (const [name, limit] of Object.entries<Limit>(BENCH_LIMITS)) {
      const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} `;
      expect(help).toContain(flag);
      const start = help.indexOf('Default', help.indexOf(flag));
      expect(help.slice(start, start + limitText(limit).length)).toBe(limitText(limit));
    }
    for (const line of benchHelp().split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});
