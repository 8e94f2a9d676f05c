import { badBodies, badHeads, goodRequests, type HttpRow } from '../support/cases/http-rows.ts';
import type { Random } from '../support/protocol/chunked.ts';

const GET = 'GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n';
const SIZED = 'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello';
const CHUNKED =
  'POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nT: u\r\n\r\n';

const texts = (rows: readonly HttpRow[]): string[] =>
  rows.map(({ text }) => `${text.replaceAll('@', '/r')}${GET}`).filter((text) => text.length < 1500);

/** Streams of good requests. */
const GOOD: readonly string[] = [
  GET,
  SIZED,
  CHUNKED,
  GET + SIZED + CHUNKED + GET,
  CHUNKED + CHUNKED + SIZED,
  'PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 37\r\nConnection: keep-alive\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n12',
  'DELETE http://x:80/a HTTP/1.1\r\nhost: X:80\r\nConnection: close\r\nA:b\r\nB: \t c d \t\r\n\r\n',
  'GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nPOST /a HTTP/1.0\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi',
  'OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nX-Empty:\r\nCookie: a=b; c="d"\r\n\r\n',
  ...texts(goodRequests()),
];
/** All shapes of smuggling of the conformance rows. */
const BAD: readonly string[] = texts([...badHeads(), ...badBodies()]);

const BYTES = '\r|\n| |\t|\0|\x0b|\x0c|\x7f|\x80|\xff|:|;|,|=|"|\\|-|_|+|0|1|5|a|F|x|/|?|#|*|%|@|[|]'.split(
  '|',
);
const WORDS =
  '\r\n|\r\n|0\r\n\r\n|5\r\nhello\r\n|\r\n\r\n|\r\n |;a=b|;a="b"|0x|00|chunked|identity|HTTP/1.1|HTTP/1.0|GET |POST |HEAD |http://x'.split(
    '|',
  );
const LINES =
  'Content-Length: 5|Content-Length: 0|Transfer-Encoding: chunked|Host: x|X: y|Connection: close|Connection: keep-alive|Expect: 100-continue'
    .split('|')
    .map((line) => `${line}\r\n`);
const TOKENS = [...BYTES, ...WORDS, ...LINES, GET];

/** A stream, changed in a few places or none. */
export function mutated(random: Random): string {
  let text = pick(random.below(4) === 0 ? BAD : GOOD, random);
  for (let left = random.below(4); left > 0; left--) text = mutateOnce(text, random);
  return text.slice(0, 6000);
}

function mutateOnce(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  const size = random.below(4);
  switch (random.below(8)) {
    case 0:
      return text.slice(0, at) + text.slice(at + size);
    case 1:
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + text.slice(at, at + 30) + text.slice(at);
    case 3:
      return text.slice(0, at) + flipped(text.slice(at, at + 1)) + text.slice(at + 1);
    case 4:
      return splice(text, pick(random.below(2) === 0 ? BAD : GOOD, random), random);
    case 5:
      return atLine(text, random, pick(TOKENS, random));
    default:
      return text.slice(0, at) + pick(TOKENS, random) + text.slice(at + (random.below(2) === 0 ? 0 : size));
  }
}

/** Inserts where a line begins: most faults are there. */
function atLine(text: string, random: Random, token: string): string {
  const lines = text.split('\r\n');
  const line = random.below(lines.length);
  lines[line] = token + (lines[line] ?? '');
  return lines.join('\r\n');
}

function splice(a: string, b: string, random: Random): string {
  return a.slice(0, random.below(a.length + 1)) + b.slice(random.below(b.length + 1));
}

function flipped(character: string): string {
  const upper = character.toUpperCase();
  return upper === character ? character.toLowerCase() : upper;
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[random.below(list.length)]!;
}
