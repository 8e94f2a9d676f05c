import type { ScenarioName } from '../options.ts';
import { BroadcastScenario, type BroadcastSlot } from './broadcast.ts';
import { ConnectScenario } from './connect.ts';
import { EchoScenario, type EchoSlot } from './echo.ts';
import { IdleScenario } from './idle.ts';
import type { Scenario, ScenarioHost, Slot } from './scenario.ts';
import { SlowScenario } from './slow.ts';

/** A host has the slots that its scenario has made. */
const BY_NAME: Readonly<Record<ScenarioName, (host: ScenarioHost<Slot>) => Scenario<Slot>>> = {
  echo: (host) => new EchoScenario(host as ScenarioHost<EchoSlot>),
  broadcast: (host) => new BroadcastScenario(host as ScenarioHost<BroadcastSlot>),
  connect: (host) => new ConnectScenario(host),
  idle: () => new IdleScenario(),
  slow: (host) => new SlowScenario(host),
};

/** The scenario that the plan names. */
export function createScenario(host: ScenarioHost<Slot>): Scenario<Slot> {
  return BY_NAME[host.plan.scenario](host);
}
