import type { Random } from '../support/protocol/chunked.ts';

/** Streams of clients that are well formed in some version, behind CONNECT. */
const GOOD: readonly string[] = [
  'SEND\ndestination:/queue/a\nreceipt:1\n\nhello\0',
  'SEND\ndestination:/queue/a\ncontent-length:5\ncontent-type:text/plain\n\na\0b\0c\0',
  'SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\nprefetch-count:3\nreceipt:2\n\n\0',
  'SUBSCRIBE\nid:2\ndestination:/queue/b\nack:client-individual\n\n\0SUBSCRIBE\nid:3\ndestination:/topic/c\n\n\0',
  'SUBSCRIBE\ndestination: /queue/old\nack: client\n\n\0UNSUBSCRIBE\ndestination: /queue/old\nreceipt:3\n\n\0',
  'UNSUBSCRIBE\nid:1\nreceipt:4\n\n\0',
  'ACK\nid:s1-1\nmessage-id:s1-1\nsubscription:1\nreceipt:5\n\n\0NACK\nid:s1-2\nmessage-id:s1-2\nreceipt:6\n\n\0',
  'BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\nreceipt:7\n\nx\0COMMIT\ntransaction:t\nreceipt:8\n\n\0',
  'BEGIN\ntransaction:u\nreceipt:9\n\n\0ACK\nid:s1-1\nmessage-id:s1-1\ntransaction:u\n\n\0ABORT\ntransaction:u\n\n\0',
  'SEND\r\ndestination:/queue/a\r\nna\\cme:va\\nl\\\\ue\r\n\r\nbody\0\r\n\n',
  'DISCONNECT\nreceipt:10\n\n\0',
  '\n\n\n',
];
const CONNECTS: readonly string[] = [
  'CONNECT\naccept-version:1.0,1.1,1.2\nhost:h\nheart-beat:1000,1000\n\n\0\n',
  'CONNECT\r\naccept-version:1.2\r\nhost:h\r\nlogin:me\r\npasscode:a:b\r\n\r\n\0',
  'STOMP\naccept-version:1.1\nhost:h\n\n\0',
  'CONNECT\nlogin: me \n\n\0',
];
const TOKENS: readonly string[] =
  '\0|\n|\r|\r\n|\n\n|\n\n\0|:|\\|\\n|\\c|\\r|\\\\|\\t| |0|1|-|\xff|\xc3\xa9|SEND\n|ACK\n|NACK\n|MESSAGE\n|CONNECT\n|content-length:|content-length:3\n|content-length:-1\n|content-length:999999999999\n|receipt:r\n|transaction:t\n|id:1\n|message-id:s1-1\n|destination:/queue/a\n|ack:client\n|__proto__:x\n'.split(
    '|',
  );

/** What a client may send: CONNECT mostly, then frames; changed in a few places or none. */
export function mutatedStomp(random: Random): string {
  let text = random.below(12) === 0 ? '' : pick(CONNECTS, random);
  for (let left = random.below(8); left > 0; left--) text += pick(GOOD, random);
  const changes = random.below(3) === 0 ? 1 + random.below(3) : 0;
  for (let left = changes; left > 0; left--) text = mutateOnce(text, random);
  return text.slice(0, 4000);
}

function mutateOnce(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  switch (random.below(6)) {
    case 0:
      return text.slice(0, at) + text.slice(at + 1 + random.below(4));
    case 1:
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + text.slice(at, at + 30) + text.slice(at);
    case 3:
      return atLine(text, random, pick(TOKENS, random));
    default:
      return text.slice(0, at) + pick(TOKENS, random) + text.slice(at + random.below(3));
  }
}

/** Inserts where a line begins: most faults are there. */
function atLine(text: string, random: Random, token: string): string {
  const lines = text.split('\n');
  const line = random.below(lines.length);
  lines[line] = token + (lines[line] ?? '');
  return lines.join('\n');
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[random.below(list.length)]!;
}
