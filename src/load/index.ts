/** The door `millrace/bench`: the load generator. */
export { bench } from './bench.ts';
export {
  BENCH_LIMITS,
  type BenchNumber,
  type BenchOptions,
  type BenchProgress,
  SCENARIOS,
  type ScenarioName,
} from './options.ts';
export type { BenchResult, BenchSample } from './result.ts';
export { PERCENTILES, type PercentileName, type Spread } from './statistics.ts';
