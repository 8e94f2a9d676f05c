import { expect, it } from 'vitest';
import {
  AnswerStatus,
  REPLY_HEADER,
  REQUEST_HEADER,
  readId,
  writeReply,
  writeRequest,
} from '../../../src/bus/ask-record.ts';

it.each([0, 1, 0x01_02_03_04, 2 ** 31, 2 ** 32 - 1])(
  'the ID %d is read as it was written, at any offset',
  (id) => {
    for (const record of [
      writeRequest(id, 9, Buffer.from('a')),
      writeReply(id, AnswerStatus.BUSY, Buffer.from('a')),
    ]) {
      const memory = Buffer.concat([Buffer.from('odd'), record]);
      expect(readId(memory.subarray(3))).toBe(id);
    }
  },
);

it('the kind or the status lies behind the ID, and then the bytes', () => {
  const request = writeRequest(1, 255, Buffer.from('ask'));
  expect([request[4], request.subarray(REQUEST_HEADER).toString()]).toEqual([255, 'ask']);
  const reply = writeReply(1, AnswerStatus.UNFINISHED, new Uint8Array(0));
  expect([...reply]).toEqual([1, 0, 0, 0, 4]);
  expect(reply).toHaveLength(REPLY_HEADER);
});
