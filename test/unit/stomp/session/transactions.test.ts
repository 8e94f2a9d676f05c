import { describe, expect, it } from 'vitest';
import { Transactions } from '../../../../src/stomp/session/transactions.ts';

const LIMITS = { maxTransactions: 2, maxTransactionFrames: 3, maxTransactionBytes: 10 };

describe('transactions', () => {
  it('give back what waited in them, in order, once', () => {
    const transactions = new Transactions<string>(LIMITS);
    transactions.begin('a');
    transactions.begin('b');
    transactions.add('a', 'a1', 1);
    transactions.add('b', 'b1', 1);
    transactions.add('a', 'a2', 1);
    expect(transactions.end('a')).toEqual(['a1', 'a2']);
    expect(() => transactions.end('a')).toThrow('there is no such transaction');
    expect(transactions.end('b')).toEqual(['b1']);
    expect(transactions.size).toBe(0);
  });

  it('refuse what has begun, and what has not', () => {
    const transactions = new Transactions<string>(LIMITS);
    transactions.begin('a');
    expect(() => transactions.begin('a')).toThrow('the transaction has begun already');
    expect(() => transactions.add('__proto__', 'x', 0)).toThrow('there is no such transaction');
  });

  it('hold no more than their limits, and have room again when one has ended', () => {
    const transactions = new Transactions<string>(LIMITS);
    transactions.begin('a');
    transactions.begin('b');
    expect(() => transactions.begin('c')).toThrow('more than 2 transactions');
    transactions.add('a', 'ten', 10);
    expect(() => transactions.add('b', 'one', 1)).toThrow('more than 10 bytes');
    transactions.add('b', 'none', 0);
    transactions.add('b', 'none', 0);
    expect(() => transactions.add('b', 'none', 0)).toThrow('more than 3 frames');
    transactions.end('a');
    transactions.add('b', 'ten', 10);
    transactions.clear();
    transactions.begin('c');
    transactions.add('c', 'ten', 10);
  });
});
