import { expect, it } from 'vitest';
import { NO_ADDRESS } from '../../../src/admission/address-table.ts';
import { REFUSING, REFUSING_PER_ADDRESS, type Refusal, Refusing } from '../../../src/admission/refusing.ts';

it('has 64 places, four for an address, and each that is given back can be had again', () => {
  const refusing = new Refusing();
  const taken = Array.from({ length: REFUSING_PER_ADDRESS }, () => refusing.take(429, 7));
  expect(taken).toEqual(Array.from({ length: REFUSING_PER_ADDRESS }, () => ({ status: 429, row: 7 })));
  expect(refusing.take(429, 7)).toBeNull();
  const others: (Refusal | null)[] = [];
  while (refusing.total < REFUSING) others.push(refusing.take(503, NO_ADDRESS));
  expect(others).not.toContain(null);
  expect([refusing.take(503, NO_ADDRESS), refusing.take(429, 8)]).toEqual([null, null]);
  refusing.giveBack(others[0]!);
  expect(refusing.take(429, 7)).toBeNull();
  expect(refusing.take(429, 8)).toEqual({ status: 429, row: 8 });
  refusing.giveBack(taken[0]!);
  expect(refusing.take(429, 7)).toEqual({ status: 429, row: 7 });
  expect(refusing.take(503, NO_ADDRESS)).toBeNull();
  expect(refusing.total).toBe(REFUSING);
});
