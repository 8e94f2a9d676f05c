import { EchoScenario, type EchoSlot } from './echo.ts';
import type { Scenario, ScenarioHost, Slot } from './scenario.ts';

/** The scenario that the plan names. */
export function createScenario(host: ScenarioHost<Slot>): Scenario<Slot> {
  return new EchoScenario(host as ScenarioHost<EchoSlot>);
}
