import { expect, it } from 'vitest';
import { RecordHold, restore } from '../../../src/bus/record-hold.ts';
import { ReceivedRecord } from '../../../src/ring/record.ts';

const MIB = 1024 * 1024;
const NAMES = {} as ConstructorParameters<typeof ReceivedRecord>[1];

/** A record in the middle of other memory, with a gap between name and body. */
function recordOf(name: string, body: string): ReceivedRecord {
  const record = new ReceivedRecord(Buffer.from(`..${name}...${body}..`), NAMES);
  record.meta = 0x12_34_56;
  record.sequence = 2 ** 40;
  record.tag = -7;
  record.nameOffset = 2;
  record.nameLength = name.length;
  record.bodyOffset = 2 + name.length + 3;
  record.bodyLength = body.length;
  return record;
}

const nameOf = ({ bytes, nameOffset, nameLength }: ReceivedRecord): string =>
  Buffer.from(bytes.subarray(nameOffset, nameOffset + nameLength)).toString();

it('keeps records in their order, in memory of their own, and gives them back as they were', () => {
  const hold = new RecordHold();
  const first = recordOf('topic', 'body');
  hold.add(first);
  first.bytes.fill(0);
  hold.add(recordOf('', ''));
  const [one, two, ...others] = hold.take();
  expect([others, hold.take()]).toEqual([[], []]);
  const restored = recordOf('another', 'record');
  restored.meta = restored.sequence = restored.tag = 0;
  restore(restored, one!);
  expect([nameOf(restored), Buffer.from(restored.body()).toString()]).toEqual(['topic', 'body']);
  expect(restored).toMatchObject({ owned: true, meta: 0x12_34_56, sequence: 2 ** 40, tag: -7 });
  restore(restored, two!);
  expect([nameOf(restored), restored.bodyLength]).toEqual(['', 0]);
});

it('is full with 16 MiB, the overhead of each included, until they are taken', () => {
  const hold = new RecordHold();
  hold.add(recordOf('', 'x'.repeat(16 * MIB - 2 * 128 - 1)));
  expect(hold.isFull).toBe(false);
  hold.add(recordOf('', 'x'));
  expect(hold.isFull).toBe(true);
  hold.take();
  expect(hold.isFull).toBe(false);
});
