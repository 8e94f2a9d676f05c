/** The door `millrace/bench`: the load generator. */

export { BENCH_LIMITS } from '../options/bench-options.ts';
export { bench } from './bench.ts';
export {
  type BenchNumber,
  type BenchOptions,
  type BenchProgress,
  SCENARIOS,
  type ScenarioName,
} from './options.ts';
export { bytes as formatBytes, milliseconds as formatMilliseconds } from './report/format.ts';
export { benchReport } from './report/report.ts';
export type { BenchResult, BenchSample } from './result.ts';
export { PERCENTILES, type PercentileName, type Spread } from './statistics.ts';
