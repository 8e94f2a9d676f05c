// @ts-check
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readJsonLine, spawnPinned, stopChild } from './child-process.js';

/**
 * How a server is started.
 *
 * @typedef {object} ServerCommand
 * @property {string} command
 * @property {readonly string[]} args
 * @property {Readonly<Record<string, string>>} [env]
 * @property {boolean} [isGroup] it starts programs of its own, which die with it
 *
 * A server that listens.
 *
 * @typedef {object} RunningServer
 * @property {string} name
 * @property {string} version
 * @property {number} port
 * @property {number} pid
 * @property {() => Promise<void>} stop
 */

/** Seconds that a server may take to listen. */
const START_LIMIT = 60;

/**
 * What a server says. @typedef {{ name: string, version: string, port: number, pid?: number }} Listening `pid` is that of
 * the program that serves, where it is not the one that was started
 */

/** Where this build of millrace is. */
export const root = fileURLToPath(new URL('../../../', import.meta.url));
const peers = `${root}bench/peers/`;
const modules = `${peers}node_modules/`;

/** @param {string} name of a package */
export const isInstalled = (name) => existsSync(`${modules}${name}`);

/**
 * A server of bench/peers/servers/ run by Node.js.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @returns {ServerCommand}
 */
export function nodeServer(file, ...args) {
  return { command: process.execPath, args: [`${peers}servers/${file}`, ...args] };
}

/**
 * A server run by Bun; undefined when there is none. It is the program inside Bun's platform package. The launcher
 * of the package `bun` is left alone: it downloads what it does not find.
 *
 * @param {string} file
 * @returns {ServerCommand | undefined}
 */
export function bunServer(file) {
  const folder = `${modules}@oven/`;
  if (!existsSync(folder)) return undefined;
  const command = readdirSync(folder)
    .map((name) => `${folder}${name}/bin/bun`)
    .find((path) => existsSync(path));
  return command === undefined ? undefined : { command, args: [`${peers}servers/${file}`] };
}

/**
 * Starts a server on processors of its own.
 *
 * @param {ServerCommand} server
 * @param {string} cpu
 * @returns {Promise<RunningServer>}
 */
export async function startServer({ command, args, env, isGroup = false }, cpu) {
  const child = spawnPinned(command, args, { cpu, isGroup, ...(env === undefined ? {} : { env }) });
  const stop = () => stopChild(child);
  try {
    const line = await readJsonLine(child, `the server '${args.join(' ')}'`, START_LIMIT);
    const { name, version, port, pid = child.pid } = /** @type {Listening} */ (line);
    return { name, version, port, pid: /** @type {number} */ (pid), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
