#!/usr/bin/env node
// @ts-check
import { measureStart, START_ROWS, startCommands } from '../lib/rows/start-rows.js';
import { runMacro } from '../lib/runs/macro-run.js';

runMacro({
  title: 'Start',
  unit: 'message',
  usage: `Start benchmark: from 'npm start' to the first message that comes back from the demo.

  node bench/macro/start.js [options]

  --rows P18            rows to run
  --candidates serve    beside 'npm start': the command that it runs
`,
  client: '',
  rows: START_ROWS,
  servers: startCommands,
  measure: measureStart,
});
