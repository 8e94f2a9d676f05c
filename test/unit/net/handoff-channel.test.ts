import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { ChannelListener, closeEnd, connectChannel } from '../../../src/net/handoff-channel.ts';

/** As code of the user may, while a server is started. */
function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

it('a listener whose thread was busy when its time ran out accepts who has connected', async () => {
  const listener = new ChannelListener(1);
  const connecting = connectChannel(listener.path);
  block(20);
  const [receiver, sender] = await Promise.all([listener.accepted, connecting]);
  sender.close();
  closeEnd(receiver.fd);
});

it('a listener to whom nobody connects says so, and leaves no folder behind', async () => {
  const listener = new ChannelListener(1);
  await expect(listener.accepted).rejects.toMatchObject({
    code: 'MILLRACE_UNSUPPORTED_RUNTIME',
    message: expect.stringContaining('could not accept on a Unix socket (nothing arrived)'),
  });
  expect(existsSync(dirname(listener.path))).toBe(false);
  await expect(connectChannel(listener.path)).rejects.toMatchObject({ code: 'MILLRACE_UNSUPPORTED_RUNTIME' });
});

it('a listener that is closed rejects at once', async () => {
  const listener = new ChannelListener(60_000);
  listener.close();
  listener.close();
  await expect(listener.accepted).rejects.toMatchObject({ code: 'MILLRACE_UNSUPPORTED_RUNTIME' });
});
