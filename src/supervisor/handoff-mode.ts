import { MillraceError } from '../errors.ts';
import { probeHandoff } from '../net/handoff-probe.ts';
import { canTransferSockets } from '../net/socket-transfer.ts';
import { HandoffMode } from '../shard/control-message.ts';

/**
 * How sockets are to reach the shards here.
 *
 * @throws MillraceError MILLRACE_UNSUPPORTED_RUNTIME when what is wanted does not work here
 */
export async function chooseHandoffMode(wanted: HandoffMode | 'auto'): Promise<HandoffMode> {
  if (wanted === HandoffMode.TRANSFER) {
    if (canTransferSockets()) return wanted;
    throw new MillraceError(
      'MILLRACE_UNSUPPORTED_RUNTIME',
      `handoff: 'transfer' needs Node.js 24.20, 26.6 or later; this is ${process.version}`,
    );
  }
  try {
    await probeHandoff();
    return HandoffMode.CHANNEL;
  } catch (error) {
    if (wanted === 'auto' && canTransferSockets()) return HandoffMode.TRANSFER;
    throw error;
  }
}
