import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ANY_METHOD } from '../../../src/http/router.ts';
import type { Transport, TransportContext } from '../../../src/net/transport.ts';
import type { IncomingRequest } from '../../../src/serving/incoming-request.ts';
import type { RequestHandler } from '../../../src/serving/request-handler.ts';
import type { UpgradeTarget } from '../../../src/serving/upgrade-target.ts';
import { handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { until } from '../../support/tools/deadline.ts';
import { Engine } from './engine.ts';

/** What a connection has been told. */
interface Told {
  readonly path: string;
  readonly userData: unknown;
  text: string;
  isClosed: boolean;
}

/** Sends back what it gets, in upper case: nothing of WebSocket. */
class ShoutTarget implements UpgradeTarget, TransportContext<Told> {
  readonly pattern = '/shout/:room';
  readonly rules = { origins: undefined, protocols: undefined, compression: 0 };
  readonly readsRequest = false;
  upgrade: RequestHandler | undefined;
  readonly told: Told[] = [];
  readonly failures: unknown[] = [];
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  open(socket: Transport, request: IncomingRequest, userData: unknown): void {
    const told = {
      path: `${request.head.path} ${request.params.join()}`,
      userData,
      text: '',
      isClosed: false,
    };
    socket.passTo(this, told);
    this.told.push(told);
  }

  upgradeFailed(error: unknown): void {
    this.failures.push(error);
  }

  onChunk(transport: Transport<Told>, bytes: Uint8Array, start: number, end: number): void {
    const text = Buffer.from(bytes.subarray(start, end)).toString('latin1');
    transport.owner.text += text;
    const at = transport.reserve(text.length);
    transport.commit(Buffer.from(text.toUpperCase(), 'latin1').copy(transport.bytes, at));
  }

  onWritable(): void {}

  onEnd(transport: Transport<Told>): void {
    transport.destroy();
  }

  onClosed(transport: Transport<Told>): void {
    transport.owner.isClosed = true;
    this.#engine.shard.release(transport);
  }

  onTimer(): number {
    return 0;
  }

  drain(transport: Transport<Told>): void {
    transport.end();
  }

  dismiss(): void {}
}

describe('an HTTP connection', () => {
  let engine: Engine;
  let target: ShoutTarget;
  beforeEach(() => {
    engine = new Engine();
    target = new ShoutTarget(engine);
    engine.http.dispatcher.routes.upgrades.add(ANY_METHOD, target.pattern, target);
  });
  afterEach(() => {
    engine[Symbol.dispose]();
  });

  it('becomes what its handshake asks for, which gets what came behind', async () => {
    const client = await RawClient.connect(engine.port);
    client.write(`${handshakeText('/shout/a')}behind`);
    expect((await client.response()).status).toBe(101);
    client.write(' and more');
    expect((await client.read(15)).toString()).toBe('BEHIND AND MORE');
    expect(target.told).toMatchObject([{ path: '/shout/a a', text: 'behind and more', isClosed: false }]);
    client.end();
    await until(() => target.told[0]!.isClosed, 'the target hears of the end');
    expect(engine.shard.sockets.size).toBe(0);
  });

  it.each([false, true])(
    'becomes it when the upgrade handler accepts (after a while: %j)',
    async (isLater) => {
      target.upgrade = (response, { head }) => {
        const key = head.header('sec-websocket-key');
        const accept = (): void => {
          response.upgrade({ userData: { name: 'x' }, key, protocol: '', extensions: '' });
        };
        response.onAborted = (() => {}) as never;
        if (isLater) setImmediate(accept);
        else accept();
      };
      const client = await RawClient.connect(engine.port);
      client.write(`${handshakeText('/shout/b')}behind`);
      expect((await client.response()).status).toBe(101);
      expect((await client.read(6)).toString()).toBe('BEHIND');
      expect(target.told).toMatchObject([{ path: '/shout/b b', userData: { name: 'x' } }]);
      client.destroy();
    },
  );

  it('does not, and the target is told, when the upgrade handler throws', async () => {
    const error = new Error('not today');
    target.upgrade = () => {
      throw error;
    };
    const client = await RawClient.connect(engine.port);
    client.write(handshakeText('/shout/c'));
    expect((await client.response()).status).toBe(500);
    expect(target.failures).toEqual([error]);
    expect(target.told).toEqual([]);
  });

  it('is told goodbye as what it is when the shard drains', async () => {
    const client = await RawClient.connect(engine.port);
    client.write(handshakeText('/shout/d'));
    await client.response();
    const talk = { drain: () => {}, dismiss: () => {} };
    await engine.shard.drain(
      { code: 1001, deadline: 20_000, grace: 0 },
      {
        ...talk,
        drain: (transport, code) => {
          (transport.context as unknown as ShoutTarget).drain(transport as Transport<Told>);
          expect(code).toBe(1001);
          client.end();
        },
      },
      Promise.resolve(),
    );
    expect(target.told[0]!.isClosed).toBe(true);
  });
});
