import type { BenchPlan, ScenarioName } from '../options.ts';
import { BroadcastScenario, type BroadcastSlot } from './broadcast.ts';
import { ConnectScenario } from './connect.ts';
import { EchoScenario, type EchoSlot } from './echo.ts';
import { IdleScenario } from './idle.ts';
import type { Scenario, ScenarioHost, Slot } from './scenario.ts';
import { SlowScenario } from './slow.ts';
import { RunTally } from './stomp/run-tally.ts';
import { StompScenario } from './stomp/stomp-scenario.ts';
import type { StompSlot } from './stomp/stomp-slot.ts';

/** A host has the slots that its scenario has made. */
const BY_NAME: Readonly<
  Record<ScenarioName, (host: ScenarioHost<Slot>, shared: SharedArrayBuffer) => Scenario<Slot>>
> = {
  echo: (host) => new EchoScenario(host as ScenarioHost<EchoSlot>),
  broadcast: (host) => new BroadcastScenario(host as ScenarioHost<BroadcastSlot>),
  connect: (host) => new ConnectScenario(host),
  idle: () => new IdleScenario(),
  slow: (host) => new SlowScenario(host),
  stomp: (host, shared) => new StompScenario(host as ScenarioHost<StompSlot>, shared),
};

/** The scenario that the plan names. @param shared from {@link sharedMemory}, for all threads of the run */
export function createScenario(host: ScenarioHost<Slot>, shared: SharedArrayBuffer): Scenario<Slot> {
  return BY_NAME[host.plan.scenario](host, shared);
}

/** What the threads of a run know together, by scenario; most need nothing. */
export function sharedMemory({ scenario, publishers, pipelining }: BenchPlan): SharedArrayBuffer {
  return scenario === 'stomp' ? new RunTally(publishers, pipelining).memory : new SharedArrayBuffer(0);
}
