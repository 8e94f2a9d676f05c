import { describe, expect, it } from 'vitest';
import { Reasons } from '../../../src/load/reasons.ts';
import { explainSocketError } from '../../../src/load/socket-error.ts';
import { parseTarget } from '../../../src/load/target.ts';

describe('reasons', () => {
  it('are kept in a form that does nothing to a terminal, and not whole when they are long', () => {
    const reasons = new Reasons();
    reasons.add('said \x1b[2J\n');
    reasons.add('x'.repeat(100_000), 2);
    const [[long, two] = ['', 0], [short, one] = ['', 0]] = reasons.entries();
    expect([two, short, one]).toEqual([2, 'said \\x1b[2J\\n', 1]);
    expect(long.length).toBeLessThan(600);
  });

  it('of a kind that is not known quote the error, harmlessly', () => {
    const error = Object.assign(new Error('CN=\x1b[31mevil\n'), { code: 'EVIL' });
    expect(explainSocketError(error, parseTarget('ws://localhost:1'))).toBe('CN=\\x1b[31mevil\\n (EVIL)');
  });
});
