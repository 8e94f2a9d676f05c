import { afterPoll, CHANNEL_TIMEOUT, check, createChannel, handoffError } from './handoff-channel.ts';
import { HandoffReceiver } from './handoff-receiver.ts';
import { HandoffSender } from './handoff-sender.ts';
import { TCP, TCP_SERVER, type TcpHandle } from './node-internals.ts';

/**
 * Passes a socket through a channel inside this thread, to see that the system lets descriptors travel.
 *
 * @throws MillraceError MILLRACE_UNSUPPORTED_RUNTIME saying which step failed
 */
export async function probeHandoff(): Promise<void> {
  const channel = await createChannel();
  const socket: TcpHandle = new TCP(TCP_SERVER);
  check(socket.bind('127.0.0.1', 0), 'bind a TCP socket');
  const arrived = new Promise<void>((resolve, reject) => {
    const timeout = afterPoll(CHANNEL_TIMEOUT, () => {
      receiver.close();
      reject(handoffError('receive a descriptor', undefined));
    });
    const receiver = new HandoffReceiver(channel.receiverFd, (handle, bytes) => {
      handle?.close();
      receiver.close();
      clearTimeout(timeout);
      if (handle === null) reject(handoffError('receive a descriptor', undefined));
      else if (bytes.toString('latin1') === 'self-test') resolve();
      else reject(handoffError('receive the bytes beside a descriptor', undefined));
    });
  });
  const sender = new HandoffSender(channel.sender);
  if (!sender.send('self-test', socket)) socket.close();
  try {
    await arrived;
  } finally {
    sender.close();
  }
}
