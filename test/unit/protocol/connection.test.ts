import { describe, expect, it } from 'vitest';
import { MAX_CLOSE_REASON } from '../../../src/protocol/close-code.ts';
import { Connection, ConnectionContext, ConnectionState } from '../../../src/protocol/connection.ts';
import type { Output } from '../../../src/protocol/sender.ts';
import { byteByByte, chunksOf } from '../../support/protocol/chunked.ts';
import { DEFAULT_OPTIONS, Endpoint, Recorder, textPort, utf8Port } from '../../support/protocol/endpoint.ts';
import {
  binary,
  binaryStart,
  bytesOf,
  close,
  concat,
  type FrameSpec,
  frameBytes,
  hex,
  last,
  more,
  pattern,
  ping,
  pong,
  SAMPLE_KEY,
  text,
  textStart,
} from '../../support/protocol/frame-bytes.ts';
import { MemoryOutput } from '../../support/protocol/memory-output.ts';

const NO_REASON = new Uint8Array(0);
const { OPEN, LEAVING, CLOSE_SENT, DONE } = ConnectionState;

function server(options = {}, settings = {}): Endpoint {
  return new Endpoint(options, { echo: false, ...settings });
}

/** A recorder that does something at the first event of a kind. */
class ActingRecorder extends Recorder {
  act: (connection: Connection) => void = () => {};

  override onMessage(...args: Parameters<Recorder['onMessage']>): void {
    super.onMessage(...args);
    this.act(args[0]);
  }

  override onPing(...args: Parameters<Recorder['onPing']>): void {
    super.onPing(...args);
    this.act(args[0]);
  }

  override onPong(...args: Parameters<Recorder['onPong']>): void {
    super.onPong(...args);
    this.act(args[0]);
  }

  override onPeerClose(...args: Parameters<Recorder['onPeerClose']>): void {
    super.onPeerClose(...args);
    this.act(args[0]);
  }

  override onFailure(...args: Parameters<Recorder['onFailure']>): void {
    super.onFailure(...args);
    this.act(args[0]);
  }
}

function acting(act: (connection: Connection) => void, options = {}): Endpoint {
  const recorder = new ActingRecorder(false);
  recorder.act = act;
  return new Endpoint(options, { recorder });
}

describe('Connection and messages', () => {
  it('starts open, with nothing sent and nothing borrowed', () => {
    const endpoint = server();
    const owner = {};
    const connection = new Connection(endpoint.context, endpoint.output, owner);
    expect(connection.state).toBe(OPEN);
    expect(connection.owner).toBe(owner);
    expect(connection.output).toBe(endpoint.output);
    expect(endpoint.output.commits).toBe(0);
    expect(endpoint.pool.takes).toBe(0);
  });

  it('tells text from binary', () => {
    const endpoint = server();
    endpoint.receiveFrames(text('a'), binary(bytesOf('b')), textStart('c'), last('d'), binaryStart(), last());
    expect(endpoint.events).toEqual(['text a', 'binary b', 'text cd', 'binary ']);
    expect(endpoint.output.commits).toBe(0);
  });

  it('works as a client too, where nothing that arrives is masked and all that is sent is', () => {
    const endpoint = new Endpoint({ role: 'client' });
    endpoint.receiveFrames(text('Hello'), ping('p'), textStart('a'), last('b'), close(1000, 'bye'));
    expect(endpoint.events).toEqual(['text Hello', 'ping p', 'text ab', 'peer close 1000 bye', 'done']);
    const replies = [text('Hello'), pong('p'), text('ab'), close(1000, 'bye')];
    expect(endpoint.output.sent()).toEqual(concat(...replies.map((frame) => frameBytes(frame, SAMPLE_KEY))));
  });

  it('refuses a frame that is masked the wrong way', () => {
    for (const role of ['server', 'client'] as const) {
      const endpoint = server({ role });
      endpoint.receive(frameBytes(text('x'), role === 'server' ? null : SAMPLE_KEY));
      expect(endpoint.events).toEqual(['failure 1002', 'done']);
      expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1002)));
    }
  });

  it('has a pool of its own when it is given none', () => {
    const context = new ConnectionContext(DEFAULT_OPTIONS, new Recorder(false), {
      utf8: utf8Port,
      text: textPort,
      seconds: () => 0,
    });
    const connection = new Connection(context, new MemoryOutput(), null);
    const input = concat(frameBytes(textStart('a'), SAMPLE_KEY), frameBytes(last('b'), SAMPLE_KEY));
    connection.receive(input, 0, input.length);
    expect(connection.state).toBe(OPEN);
  });
});

describe('Connection and pings', () => {
  it('answers a ping with its payload before it tells of it', () => {
    const endpoint = acting((connection) => {
      expect((connection.output as MemoryOutput).commits).toBe(1);
    });
    endpoint.receiveFrames(ping('are you there'));
    expect(endpoint.events).toEqual(['ping are you there']);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(pong('are you there')));
  });

  it('answers all pings in order while the output takes bytes', () => {
    const endpoint = server();
    endpoint.receiveFrames(ping('1'), ping('2'), textStart('a'), ping('3'), last());
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(pong('1'), pong('2'), pong('3')));
  });

  it('tells of pongs, asked for or not, and does nothing else', () => {
    const endpoint = server();
    endpoint.receiveFrames(pong(), pong('unasked'), text('a'));
    expect(endpoint.events).toEqual(['pong ', 'pong unasked', 'text a']);
    expect(endpoint.output.commits).toBe(0);
  });

  it('answers the newest ping only when the output was blocked', () => {
    const endpoint = server();
    endpoint.output.blocked = true;
    endpoint.receiveFrames(...Array.from({ length: 500 }, (_, i) => ping(`number ${i}`)));
    expect(endpoint.output.commits).toBe(0);
    expect(endpoint.events.length).toBe(500);
    // Some of what waited is written; the rest still blocks the output.
    endpoint.connection.outputWritable();
    expect(endpoint.output.take()).toEqual(endpoint.toPeer(pong('number 499')));
    expect(endpoint.connection.pings?.pending ?? null).toBeNull();
    endpoint.connection.outputWritable();
    expect(endpoint.output.commits).toBe(0);
  });

  it('keeps no more than the payload of the ping that waits', () => {
    const endpoint = server();
    endpoint.output.blocked = true;
    endpoint.receiveFrames(ping('p'.repeat(125)));
    expect(endpoint.connection.pings?.pending?.buffer.byteLength).toBe(125);
  });

  it('does not answer an old ping behind a newer one', () => {
    const endpoint = server();
    endpoint.output.blocked = true;
    endpoint.receiveFrames(ping('old'));
    endpoint.output.blocked = false;
    endpoint.receiveFrames(ping('new'));
    endpoint.connection.outputWritable();
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(pong('new')));
  });

  it('does not answer a ping that waits once a Close was sent', () => {
    const endpoint = server();
    endpoint.output.blocked = true;
    endpoint.receiveFrames(ping('p'));
    endpoint.connection.close(1000, NO_REASON);
    endpoint.output.blocked = false;
    endpoint.connection.outputWritable();
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1000)));
  });

  it('drops a ping that waits when the connection ends', () => {
    const endpoint = server();
    endpoint.output.blocked = true;
    endpoint.receiveFrames(ping('p'));
    endpoint.connection.end();
    expect(endpoint.connection.pings?.pending ?? null).toBeNull();
    endpoint.output.blocked = false;
    endpoint.connection.outputWritable();
    expect(endpoint.output.commits).toBe(0);
  });

  it('takes maxPingsPerSecond pings a second, not one more', () => {
    const endpoint = server({ maxPingsPerSecond: 3 });
    for (endpoint.clock.now of [7, 8, 9, 100]) {
      endpoint.receiveFrames(ping('1'), ping('2'), ping('3'));
    }
    expect(endpoint.events.length).toBe(12);
    endpoint.receiveFrames(ping('4'), text('never'));
    expect(endpoint.events.slice(12)).toEqual(['failure 1008', 'done']);
    const pongs = [1, 2, 3, 4].flatMap(() => [pong('1'), pong('2'), pong('3')]);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(...pongs, close(1008)));
  });

  it('counts the first pings of a connection in the second 0 as well', () => {
    const endpoint = server({ maxPingsPerSecond: 2 });
    endpoint.clock.now = 0;
    endpoint.receiveFrames(ping(), ping());
    expect(endpoint.connection.state).toBe(OPEN);
    endpoint.receiveFrames(ping());
    expect(endpoint.connection.state).toBe(DONE);
  });

  it('does not count pongs: whoever pings often is answered often', () => {
    const endpoint = server({ maxPingsPerSecond: 2 });
    endpoint.receiveFrames(...Array.from({ length: 50 }, () => pong('x')), ping('y'));
    expect(endpoint.connection.state).toBe(OPEN);
  });

  it('counts pings while the output is blocked', () => {
    const endpoint = server({ maxPingsPerSecond: 2 });
    endpoint.output.blocked = true;
    endpoint.receiveFrames(ping(), ping());
    expect(endpoint.connection.state).toBe(OPEN);
    endpoint.receiveFrames(ping('3'));
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1008)));
    expect(endpoint.connection.pings?.pending ?? null).toBeNull();
  });

  it('counts the pings of each connection for itself', () => {
    const endpoint = server({ maxPingsPerSecond: 2 });
    for (let i = 0; i < 5; i++) {
      endpoint.reconnect();
      endpoint.receiveFrames(ping(), ping());
      expect(endpoint.connection.state).toBe(OPEN);
    }
  });
});

describe('Connection and a Close of the peer', () => {
  it.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
    'echoes the code %d with its reason and tells of both',
    (code) => {
      const endpoint = server();
      endpoint.receiveFrames(close(code, 'because'));
      expect(endpoint.events).toEqual([`peer close ${code} because`, 'done']);
      expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(code, 'because')));
      expect(endpoint.connection.state).toBe(DONE);
    },
  );

  it.each([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])(
    'answers the code %d, which may not be sent, with 1002',
    (code) => {
      const endpoint = server();
      endpoint.receiveFrames(close(code, 'because'));
      expect(endpoint.events).toEqual(['failure 1002', 'done']);
      expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1002)));
    },
  );

  it('answers an empty Close with an empty one, and says 1005', () => {
    const endpoint = server();
    endpoint.receiveFrames(close());
    expect(endpoint.events).toEqual(['peer close 1005 ', 'done']);
    expect(endpoint.output.sent()).toEqual(hex('8800'));
  });

  it('takes a code without a reason, and a reason of 123 bytes', () => {
    for (const reason of ['', 'r'.repeat(MAX_CLOSE_REASON)]) {
      const endpoint = server();
      endpoint.receiveFrames(close(1000, reason));
      expect(endpoint.events).toEqual([`peer close 1000 ${reason}`, 'done']);
      expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1000, reason)));
    }
  });

  it('fails a payload of one byte with 1002 and a reason that is no UTF-8 with 1007', () => {
    const endpoint = server();
    endpoint.receiveFrames({ opcode: 8, payload: hex('03') });
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1002)));
    for (const reason of ['c328', 'e282', 'ff', 'eda080', 'f4908080']) {
      endpoint.reconnect();
      endpoint.receiveFrames(close(1000, hex(reason)));
      expect(endpoint.events).toEqual(['failure 1007', 'done']);
      expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1007)));
    }
  });

  it('is DONE before the handler hears of it', () => {
    const endpoint = acting((connection) => {
      expect(connection.state).toBe(DONE);
      connection.close(4000, NO_REASON);
      connection.fail(1011);
    });
    endpoint.receiveFrames(close(1000));
    expect(endpoint.events).toEqual(['peer close 1000 ', 'done']);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1000)));
  });

  it('ignores what follows, in the same chunk and in later ones', () => {
    const endpoint = server();
    endpoint.receiveFrames(close(1000), text('a'), ping('b'), close(1001), text('c'));
    endpoint.receiveFrames(text('a'), ping('b'), close(1001));
    endpoint.receive(hex('ffffffffffff'));
    expect(endpoint.events).toEqual(['peer close 1000 ', 'done']);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1000)));
  });

  it('drops a message that is not complete, and its memory', () => {
    const endpoint = server();
    endpoint.receiveFrames(textStart('half'), close(1000));
    expect(endpoint.events).toEqual(['peer close 1000 ', 'done']);
    expect(endpoint.pool.lentBytes).toBe(0);
    expect(endpoint.connection.message.joined).toBeNull();
  });

  it('sends the answer behind what already waits', () => {
    const endpoint = server();
    endpoint.output.blocked = true;
    endpoint.context.sender.bytes(endpoint.output, 0x82, pattern(70_000));
    endpoint.receiveFrames(close(1000));
    expect(
      Buffer.compare(endpoint.output.sent(), endpoint.toPeer(binary(pattern(70_000)), close(1000))),
    ).toBe(0);
  });
});

describe('Connection.close', () => {
  it('sends one Close and waits for the answer', () => {
    const endpoint = server();
    endpoint.connection.close(4001, bytesOf('later'));
    expect(endpoint.connection.state).toBe(CLOSE_SENT);
    endpoint.connection.close(4002, NO_REASON);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(4001, 'later')));
    expect(endpoint.events).toEqual([]);
    endpoint.receiveFrames(close(4001));
    expect(endpoint.events).toEqual(['done']);
    expect(endpoint.connection.state).toBe(DONE);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(4001, 'later')));
  });

  it.each([0, 1005, 1006])('sends an empty payload for the code %d', (code) => {
    const endpoint = server();
    endpoint.connection.close(code, bytesOf('unsaid'));
    expect(endpoint.output.sent()).toEqual(hex('8800'));
  });

  it('cuts a reason above 123 bytes between two code points', () => {
    const endpoint = server();
    endpoint.connection.close(1000, bytesOf('x'.repeat(200)));
    expect(endpoint.output.take()).toEqual(endpoint.toPeer(close(1000, 'x'.repeat(123))));
    endpoint.reconnect();
    endpoint.connection.close(1000, bytesOf('€'.repeat(80)));
    expect(endpoint.output.take()).toEqual(endpoint.toPeer(close(1000, '€'.repeat(41))));
    endpoint.reconnect();
    endpoint.connection.close(1000, bytesOf(`${'€'.repeat(40)}x€`));
    expect(endpoint.output.take()).toEqual(endpoint.toPeer(close(1000, `${'€'.repeat(40)}x`)));
  });

  it('sends of a reason only its own bytes, never those of an earlier one', () => {
    const endpoint = server();
    endpoint.connection.close(1000, bytesOf('secret'.repeat(20)));
    endpoint.reconnect();
    const memory = bytesOf('beforeREASONbehind');
    endpoint.connection.close(1001, memory.subarray(6, 12));
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1001, 'REASON')));
    endpoint.reconnect();
    endpoint.connection.close(1002, NO_REASON);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1002)));
  });

  it('is sent although the output is blocked', () => {
    const endpoint = server();
    endpoint.output.blocked = true;
    endpoint.connection.close(1000, NO_REASON);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1000)));
  });

  it('makes data, pings and pongs that are still on their way meaningless', () => {
    const endpoint = server({ maxPingsPerSecond: 1 });
    endpoint.connection.close(1000, NO_REASON);
    endpoint.receiveFrames(
      text('a'),
      ping('b'),
      ping('c'),
      pong('d'),
      binaryStart(),
      more(),
      last(),
      text('e'),
    );
    expect(endpoint.events).toEqual([]);
    expect(endpoint.connection.state).toBe(CLOSE_SENT);
    endpoint.receiveFrames(text('a'), close(1000), text('never'));
    expect(endpoint.events).toEqual(['done']);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1000)));
    expect(endpoint.pool.lentBytes).toBe(0);
  });

  it.each([
    ['a broken frame', hex('8380')],
    ['an invalid Close', hex('888137fa213d34')],
    ['an invalid text', hex('8181000000 00ff')],
    ['an overlong message', hex('82ff7fffffffffffffff')],
  ])('ends without another word when the answer is %s', (_name, bytes) => {
    const endpoint = server();
    endpoint.connection.close(1000, NO_REASON);
    endpoint.receive(bytes);
    expect(endpoint.events).toEqual(['done']);
    expect(endpoint.connection.state).toBe(DONE);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1000)));
  });

  it('meets a Close of the peer half-way: each side sends one, nobody answers twice', () => {
    for (const [ours, theirs] of [
      [1000, 1000],
      [1001, 4000],
      [4000, undefined],
      [0, 1000],
    ] as const) {
      const endpoint = server();
      const peer = server({ role: 'client' });
      endpoint.connection.close(ours, NO_REASON);
      peer.connection.close(theirs ?? 0, NO_REASON);
      const fromPeer = peer.output.take();
      peer.receive(endpoint.output.take());
      endpoint.receive(fromPeer);
      for (const side of [endpoint, peer]) {
        expect(side.events).toEqual(['done']);
        expect(side.connection.state).toBe(DONE);
        expect(side.output.commits).toBe(0);
      }
    }
  });

  it('leaves the last word to an output that ends the connection while it takes the frame', () => {
    const endpoint = server();
    const output: Output = {
      bytes: new Uint8Array(200),
      blocked: false,
      reserve: () => 0,
      commit: () => connection.end(),
    };
    const connection: Connection = new Connection(endpoint.context, output, null);
    connection.close(1000, NO_REASON);
    expect(connection.state).toBe(DONE);
  });
});

describe('Connection.leave', () => {
  it('sends one Close, and delivers messages until the one of the peer', () => {
    const endpoint = server();
    endpoint.connection.leave(1001, NO_REASON);
    expect(endpoint.connection.state).toBe(LEAVING);
    endpoint.connection.leave(1001, NO_REASON);
    endpoint.receiveFrames(text('a'), ping('b'), pong('c'), textStart('d'), last('e'));
    expect(endpoint.events).toEqual(['text a', 'text de']);
    endpoint.receiveFrames(close(1001), text('never'));
    expect(endpoint.events).toEqual(['text a', 'text de', 'done']);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1001)));
    expect(endpoint.connection.state).toBe(DONE);
  });

  it('ignores messages once it is closed, and sends no other Close', () => {
    const endpoint = server();
    endpoint.connection.leave(1001, NO_REASON);
    endpoint.connection.close(1000, NO_REASON);
    expect(endpoint.connection.state).toBe(CLOSE_SENT);
    endpoint.receiveFrames(text('a'));
    expect(endpoint.events).toEqual([]);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1001)));
  });

  it('tells of a broken rule, and sends nothing more', () => {
    const endpoint = server();
    endpoint.connection.leave(1001, NO_REASON);
    endpoint.receive(hex('8300'));
    expect(endpoint.events).toEqual(['failure 1002', 'done']);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1001)));
  });

  it('is no way back from a Close that was sent', () => {
    const endpoint = server();
    endpoint.connection.close(1000, NO_REASON);
    endpoint.connection.leave(1001, NO_REASON);
    expect(endpoint.connection.state).toBe(CLOSE_SENT);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1000)));
  });
});

describe('Connection.fail', () => {
  it('sends a Close with the code and is done, without an event', () => {
    const endpoint = server();
    endpoint.receiveFrames(textStart('half'));
    endpoint.connection.fail(1011);
    expect(endpoint.connection.state).toBe(DONE);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1011)));
    expect(endpoint.events).toEqual([]);
    expect(endpoint.pool.lentBytes).toBe(0);
  });

  it('sends nothing when a Close was sent before, or the connection is done', () => {
    const endpoint = server();
    endpoint.connection.close(1000, NO_REASON);
    endpoint.connection.fail(1011);
    expect(endpoint.connection.state).toBe(DONE);
    endpoint.connection.fail(1011);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1000)));
  });
});

describe('Connection.end', () => {
  it('is done without a word, at every byte of an input, with all memory given back', () => {
    const endpoint = server();
    const input = endpoint.fromPeer(
      textStart('a€'),
      ping('ping'),
      last('b'),
      binaryStart(pattern(150)),
      close(1000),
    );
    for (const cut of byteByByte(input.length + 1)) {
      endpoint.reconnect();
      endpoint.receive(...chunksOf(input.subarray(0, cut), [Math.floor(cut / 2)]));
      const sent = endpoint.output.commits;
      const events = endpoint.events.length;
      endpoint.connection.end();
      endpoint.receive(input);
      expect(endpoint.connection.state).toBe(DONE);
      expect([endpoint.output.commits, endpoint.events.length]).toEqual([sent, events]);
      expect(endpoint.pool.lentBytes).toBe(0);
      expect(endpoint.connection.spill).toBeNull();
    }
    expect(endpoint.pool.mostLent).toBe(1024);
  });

  it('leaves nothing for any other method to do', () => {
    const endpoint = server();
    endpoint.connection.end();
    endpoint.connection.end();
    endpoint.connection.close(1000, bytesOf('x'));
    endpoint.connection.fail(1002);
    endpoint.connection.outputWritable();
    endpoint.receiveFrames(text('x'), ping(), close());
    expect(endpoint.output.commits).toBe(0);
    expect(endpoint.events).toEqual([]);
    expect(endpoint.connection.state).toBe(DONE);
  });
});

describe('Connection and handlers that act in the middle of a chunk', () => {
  const EVENTS: readonly (readonly [string, readonly FrameSpec[], string])[] = [
    ['a message', [text('a')], 'text a'],
    ['a fragmented message', [textStart('a'), last('b')], 'text ab'],
    ['an empty fragmented message', [textStart(), last()], 'text '],
    ['a ping', [ping('a')], 'ping a'],
    ['a ping inside of a message', [textStart('x'), ping('a')], 'ping a'],
    ['a pong', [pong('a')], 'pong a'],
  ];
  const BEHIND = [last('z'), text('c'), ping('d'), pong('e')];

  /** The frames that belong behind `frames`: a started message has to end. */
  function behind(frames: readonly FrameSpec[]): FrameSpec[] {
    return frames.at(-1)!.opcode === 9 && frames.length === 2 ? BEHIND : BEHIND.slice(1);
  }

  it.each(EVENTS)('close() in %s: nothing else is handled, the peer is heard out', (_name, frames, event) => {
    const endpoint = acting((connection) => connection.close(4000, NO_REASON));
    endpoint.receiveFrames(...frames, ...behind(frames));
    expect(endpoint.events).toEqual([event]);
    expect(endpoint.connection.state).toBe(CLOSE_SENT);
    endpoint.receiveFrames(text('f'), close(4000));
    expect(endpoint.events).toEqual([event, 'done']);
    const pongs = event.startsWith('ping') ? [pong('a')] : [];
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(...pongs, close(4000)));
    expect(endpoint.pool.lentBytes).toBe(0);
  });

  it.each(EVENTS)(
    'close() in %s with the Close of the peer behind it: done at once',
    (_name, frames, event) => {
      const endpoint = acting((connection) => connection.close(4000, NO_REASON));
      endpoint.receiveFrames(...frames, ...behind(frames), close(1000), text('never'));
      expect(endpoint.events).toEqual([event, 'done']);
    },
  );

  it.each(EVENTS)('fail() in %s: the rest of the chunk is not parsed', (_name, frames, event) => {
    const endpoint = acting((connection) => connection.fail(1011));
    endpoint.receiveFrames(...frames, ...behind(frames), close(1000));
    endpoint.receive(hex('ffff'));
    expect(endpoint.events).toEqual([event]);
    const pongs = event.startsWith('ping') ? [pong('a')] : [];
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(...pongs, close(1011)));
    expect(endpoint.pool.lentBytes).toBe(0);
  });

  it.each(EVENTS)('end() in %s: nothing is sent and nothing parsed any more', (_name, frames, event) => {
    const endpoint = acting((connection) => connection.end());
    const input = endpoint.fromPeer(...frames, ...behind(frames), textStart('cut'));
    endpoint.receive(input.subarray(0, input.length - 2));
    expect(endpoint.events).toEqual([event]);
    expect(endpoint.output.commits).toBe(event.startsWith('ping') ? 1 : 0);
    expect(endpoint.connection.spill).toBeNull();
    expect(endpoint.connection.remaining).toBe(0);
    expect(endpoint.pool.lentBytes).toBe(0);
  });

  it.each(EVENTS)('end() and fail() in %s with something unfit behind it', (_name, frames, event) => {
    const cutHeader = hex('82');
    const cutPayload = hex('82850000000001');
    const broken = hex('8380');
    for (const behindEvent of [cutHeader, cutPayload, broken, hex('8080'), hex('88010000000000')]) {
      for (const act of [(each: Connection) => each.end(), (each: Connection) => each.fail(1011)]) {
        const endpoint = acting(act);
        endpoint.receive(concat(endpoint.fromPeer(...frames), behindEvent));
        expect(endpoint.events).toEqual([event]);
        const { state, spill, spillLength, remaining, message } = endpoint.connection;
        expect([state, spill, spillLength, remaining, message.joined]).toEqual([DONE, null, 0, 0, null]);
        expect(endpoint.pool.lentBytes).toBe(0);
      }
    }
  });

  it('end() in a message whose last piece arrives in a chunk with more behind it', () => {
    const endpoint = acting((connection) => connection.end());
    const input = endpoint.fromPeer(binary(pattern(300)), text('never'));
    endpoint.receive(...chunksOf(input, [100, 200]));
    expect(endpoint.events.length).toBe(1);
    expect(endpoint.pool.lentBytes).toBe(0);
  });

  it('close() and fail() in onFailure have no effect', () => {
    const endpoint = acting((connection) => {
      connection.close(4000, NO_REASON);
      connection.fail(1011);
    });
    endpoint.receive(hex('8380'));
    expect(endpoint.events).toEqual(['failure 1002', 'done']);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(1002)));
  });

  it('sends from inside of a message behind what was sent before', () => {
    const endpoint = acting((connection) => {
      connection.context.sender.text(connection.output, 0x81, 'reply');
    });
    endpoint.receiveFrames(text('a'), ping('p'));
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(text('reply'), pong('p'), text('reply')));
  });

  it('serves another connection of the same context from inside of an event', () => {
    const endpoint = acting((connection) => {
      if (connection !== endpoint.connection || endpoint.events.length > 1) return;
      const other = new Connection(endpoint.context, new MemoryOutput(), null);
      const input = endpoint.fromPeer(textStart('of ano'), ping('inner'), last('ther'));
      for (const chunk of chunksOf(input, byteByByte(input.length))) {
        other.receive(concat(new Uint8Array(200), chunk), 200, 201);
      }
    });
    const input = endpoint.fromPeer(textStart('my'), last(' own'), text('next'));
    for (const cut of [0, ...byteByByte(input.length)]) {
      endpoint.reconnect();
      endpoint.receive(...chunksOf(input, [cut]));
      expect(endpoint.events).toEqual(['text my own', 'ping inner', 'text of another', 'text next']);
      expect(endpoint.pool.lentBytes).toBe(0);
    }
  });
});

describe('Connection and broken rules', () => {
  it.each([
    ['a reserved opcode', hex('8380'), 1002],
    ['an unmasked frame', hex('8101'), 1002],
    ['a text that is no UTF-8', frameBytes(text(hex('ff')), SAMPLE_KEY), 1007],
    ['a message above the limit', hex('82ff0000000000010001'), 1009],
    ['a continuation of nothing', hex('8080'), 1002],
    ['an invalid Close', frameBytes(close(1005), SAMPLE_KEY), 1002],
    ['a Close whose reason is no UTF-8', frameBytes(close(1000, hex('ff')), SAMPLE_KEY), 1007],
    ['a text that ends inside of a code point', frameBytes(text(hex('e282')), SAMPLE_KEY), 1007],
  ])('answers %s with its code, tells of it and is done', (_name, bytes, code) => {
    const endpoint = server();
    endpoint.receive(concat(endpoint.fromPeer(text('ok')), bytes, bytes, endpoint.fromPeer(text('never'))));
    endpoint.receiveFrames(text('never'));
    expect(endpoint.events).toEqual(['text ok', `failure ${code}`, 'done']);
    expect(endpoint.output.sent()).toEqual(endpoint.toPeer(close(code)));
    expect(endpoint.connection.state).toBe(DONE);
    expect(endpoint.pool.lentBytes).toBe(0);
  });
});
