// @ts-check
// Measures one case: node micro-child.js '{ "suite": "mask", "name": "20 B", "build": "/…", "seconds": 1 }'
// Prints one JSON line.
import { measureMicro } from './micro-run.js';

const { suite, name, build, seconds } = JSON.parse(process.argv[2] ?? '{}');
/** @type {{ default: import('./micro-run.js').MicroSuite }} */
const { default: found } = await import(new URL(`../../micro/${suite}.js`, import.meta.url).href);
const micro = found.cases.find((one) => one.name === name);
if (micro === undefined) throw new Error(`${suite} has no case '${name}'`);
const unitsPerSecond = await measureMicro(micro, build, seconds);
process.stdout.write(`${JSON.stringify({ unitsPerSecond })}\n`, () => process.exit());
