import { reportError } from './error-report.ts';

declare const USER_CODE: unique symbol;

/**
 * A function of the user as it is kept: it cannot be called but by `callUser`, so that nobody forgets what it throws, or
 * that it may be async. At run time it is the function itself.
 */
export interface UserCode<F> {
  readonly [USER_CODE]: F;
  /** Parameters that it declares. */
  readonly length: number;
}

/** Told what user code threw, or what a promise that it returned rejected with. */
export type OnFailure = (error: unknown) => void;

/** What `callUser` returns when the function threw. */
export const THREW: unique symbol = Symbol('threw');

/** Marks a function as the user's. */
export function userCode<F extends (...args: never[]) => unknown>(code: F): UserCode<F> {
  return code as unknown as UserCode<F>;
}

/**
 * Calls a function of the user. What it throws, and what the promise rejects with that it may have returned, is told to
 * `failed` and goes no further. Returns what it returned, or THREW.
 */
export function callUser<A extends unknown[]>(
  code: UserCode<(...args: A) => unknown>,
  failed: OnFailure,
  ...args: A
): unknown {
  let result: unknown;
  try {
    result = (code as unknown as (...args: A) => unknown)(...args);
  } catch (error) {
    failed(error);
    return THREW;
  }
  if (result !== undefined) watch(result, failed);
  return result;
}

const PROMISE_THEN: unknown = Reflect.get(Promise.prototype, 'then');

/**
 * Has `failed` told when what user code returned is a promise, or anything with a `then` method, and rejects. Returns
 * whether it is one. Never throws, whatever it is.
 */
export function watch(result: unknown, failed: OnFailure): boolean {
  if ((typeof result !== 'object' && typeof result !== 'function') || result === null) return false;
  const onRejected = (error: unknown): void => {
    tell(failed, error);
  };
  try {
    const { then } = result as { then?: unknown };
    if (typeof then !== 'function') return false;
    // The usual case: without a promise more.
    if (then === PROMISE_THEN) then.call(result, undefined, onRejected);
    else adopt(result, then as Then).then(undefined, onRejected);
  } catch (error) {
    onRejected(error);
  }
  return true;
}

type Then = (
  this: unknown,
  onFulfilled: (value: unknown) => void,
  onRejected: (error: unknown) => void,
) => unknown;

/** A promise of this realm that goes the way of a foreign one, which may call back more than once, or throw. */
function adopt(result: object, then: Then): Promise<unknown> {
  return new Promise((resolve, reject) => {
    then.call(result, resolve, reject);
  });
}

/** Nobody hears of what is thrown in a promise's callback: Node.js would end the process. */
function tell(failed: OnFailure, error: unknown): void {
  try {
    failed(error);
  } catch (second) {
    reportError('what was to be done about an error', second);
  }
}
