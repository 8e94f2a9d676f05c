import { expect, it } from 'vitest';
import { canTransferSockets } from '../../../src/net/socket-transfer.ts';
import { HandoffMode } from '../../../src/shard/control-message.ts';
import { chooseHandoffMode } from '../../../src/supervisor/handoff-mode.ts';

it('is the channel where that works, also when none is wanted', async () => {
  expect(await chooseHandoffMode('auto')).toBe(HandoffMode.CHANNEL);
  expect(await chooseHandoffMode(HandoffMode.CHANNEL)).toBe(HandoffMode.CHANNEL);
});

it.runIf(canTransferSockets())('is a transfer when that is wanted', async () => {
  expect(await chooseHandoffMode(HandoffMode.TRANSFER)).toBe(HandoffMode.TRANSFER);
});

it.runIf(!canTransferSockets())('says what a transfer needs where Node.js has none', async () => {
  await expect(chooseHandoffMode(HandoffMode.TRANSFER)).rejects.toMatchObject({
    code: 'MILLRACE_UNSUPPORTED_RUNTIME',
    message: `handoff: 'transfer' needs Node.js 24.20, 26.6 or later; this is ${process.version}`,
  });
});
