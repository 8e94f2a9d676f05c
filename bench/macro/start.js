#!/usr/bin/env node
import { runMacro } from '../lib/macro-run.js';
// @ts-check
import { measureStart, START_ROWS, startCommands } from '../lib/start-rows.js';

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
