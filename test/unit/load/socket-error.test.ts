import { expect, it } from 'vitest';
import { explainSocketError } from '../../../src/load/socket-error.ts';
import type { Target } from '../../../src/load/target.ts';

const target = { host: 'server.test', port: 9001, secure: true } as Target;
const coded = (code: string, message = `connect ${code}`): Error =>
  Object.assign(new Error(message), { code });
const told = (error: Error | null, of: Target = target): string => explainSocketError(error, of);

it.each([
  ['ECONNREFUSED', /is the server running, and does it listen on server\.test port 9001\?/],
  ['ENOTFOUND', /no host named 'server\.test'/],
  ['EMFILE', /ulimit -n/],
  ['EPROTO', /port 9001 does not speak TLS/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', /cannot be trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\): --insecure/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', /--insecure accepts any/],
])('%s is explained', (code, message) => {
  expect(told(coded(code))).toMatch(message);
});

it('an end without an error is the server that closed', () => {
  expect(told(null)).toBe('the server closed the connection');
});

it('a certificate is of no account without TLS', () => {
  expect(told(coded('CERT_HAS_EXPIRED', 'odd'), { ...target, secure: false })).toBe('odd (CERT_HAS_EXPIRED)');
});

it('what is not known is told as it is, its code once, on one line of what can be printed', () => {
  expect(told(coded('EODD'))).toBe('connect EODD');
  expect(told(coded('EODD', 'went wrong'))).toBe('went wrong (EODD)');
  expect(told(new Error('went wrong'))).toBe('went wrong');
  const hostile = told(new Error('\u001b[2Jgone\nand more'));
  expect(Buffer.from(hostile).some((byte) => byte < 32)).toBe(false);
});
