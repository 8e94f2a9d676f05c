import { requireFreshBuild } from '../../../bench/lib/runs/fresh-build.js';

/** Before any test runs: those with threads and sockets load `dist`. */
export default function setup(): void {
  requireFreshBuild();
}
