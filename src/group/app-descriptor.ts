import { randomInt } from 'node:crypto';
import { described } from '../caller-values.ts';
import { invalidArgument, type MillraceError } from '../errors.ts';

/**
 * Names an App to the Apps of other threads of this process. A number, as in uWebSockets.js: it may be posted, cloned,
 * or written as JSON and read again.
 *
 *     52      50 49                34 33                 0
 *     ┌ version ┬ low bits of the pid ┬ random ────────────┐
 */
export type AppDescriptor = number;

/** Version of what Apps tell each other, 1 to 7. */
const VERSION = 1;

const PROCESS_BITS = 16;
const RANDOM_BITS = 34;
const VERSION_UNIT = 2 ** (PROCESS_BITS + RANDOM_BITS);
const PROCESS_UNIT = 2 ** RANDOM_BITS;

function processBits(): number {
  return process.pid % 2 ** PROCESS_BITS;
}

export function createDescriptor(): AppDescriptor {
  return VERSION * VERSION_UNIT + processBits() * PROCESS_UNIT + randomInt(2 ** RANDOM_BITS);
}

/**
 * Checks what a user says is a descriptor.
 *
 * @throws MillraceError MILLRACE_INVALID_ARGUMENT saying what is wrong with it
 */
export function checkDescriptor(where: string, value: unknown): AppDescriptor {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < VERSION_UNIT) {
    throw invalid(
      where,
      `the argument must be the number that getDescriptor() of an App returned, as it was; got ${described(value)}`,
    );
  }
  const version = Math.floor(value / VERSION_UNIT);
  if (version !== VERSION) {
    throw invalid(
      where,
      `the descriptor is of version ${version}, this copy of millrace knows version ${VERSION}; use one copy`,
    );
  }
  if (Math.floor(value / PROCESS_UNIT) % 2 ** PROCESS_BITS !== processBits()) {
    throw invalid(
      where,
      'the descriptor is of another process; only Apps of the threads of one process can be joined. Let every ' +
        'process listen itself, or share topics through an adapter',
    );
  }
  return value;
}

function invalid(where: string, message: string): MillraceError {
  return invalidArgument(`${where}: ${message}`);
}
