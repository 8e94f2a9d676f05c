import { WaitingRoom } from '../admission/waiting-room.ts';
import { reportError } from '../error-report.ts';
import { Counter } from '../metrics/counter.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import type { ServerNames } from '../net/server-names.ts';
import { type TlsChoice, type TlsEvents, TlsStream } from '../net/tls-stream.ts';
import { type Transport, type TransportContext, transportOf } from '../net/transport.ts';
import type { Drainable } from '../shard/drain.ts';
import type { Shard } from '../shard/shard.ts';
import { callUser, type UserCode } from '../user-code.ts';

export interface TlsLimits {
  /** Seconds a handshake may take. */
  readonly handshakeTimeout: number;
  /** Handshakes under way at a time. */
  readonly maxHandshakes: number;
}

/** SecureServer: takes over connections that have done their handshake. */
export interface SecureServer {
  startSecure(transport: Transport): void;
}

/** A connection in its handshake. */
class Handshake {
  readonly transport: Transport<Handshake>;
  readonly deadline: number;
  /** What the connection goes on to. */
  readonly next: SecureServer;
  /** The client's name was looked up. */
  isNamed = false;
  isFailed = false;

  constructor(transport: Transport<Handshake>, deadline: number, next: SecureServer) {
    this.transport = transport;
    this.deadline = deadline;
    this.next = next;
  }
}

/**
 * TlsServer: the handshakes of a shard. A socket that has done its own goes on to what it is for. What goes wrong
 * costs that one connection, and is counted, never thrown.
 */
export class TlsServer implements TransportContext<Handshake>, TlsEvents, Drainable {
  readonly names: ServerNames;
  readonly #shard: Shard;
  readonly #limits: TlsLimits;
  readonly #handshakes: WaitingRoom;

  constructor(shard: Shard, limits: TlsLimits, names: ServerNames) {
    this.names = names;
    this.#shard = shard;
    this.#limits = limits;
    this.#handshakes = new WaitingRoom((change) => {
      shard.addWaiting(change);
    });
  }

  /**
   * Takes over a socket whose first bytes are a ClientHello. With too many handshakes under way the oldest gives
   * way: those that are honest take moments.
   */
  start(handle: TcpHandle, address: number, next: SecureServer): Transport {
    const { size } = this.#handshakes;
    if (size >= this.#limits.maxHandshakes) {
      this.#shard.count(Counter.TLS_EVICTED);
      this.#handshakes.oldest()!.destroy();
    }
    const { names } = this;
    const stream = new TlsStream(handle, names.default, names.isUsed, this);
    const transport = this.#shard.adopt(stream, this, address);
    const { timer } = this.#shard.io;
    const deadline = timer.now + this.#limits.handshakeTimeout + 1;
    const handshake = new Handshake(transport, deadline, next);
    transport.owner = handshake;
    this.#handshakes.add(transport);
    timer.schedule(transport, deadline);
    transport.startReading();
    return transport;
  }

  // Events of the transport.

  /** Of a connection that failed: it is about to be closed. */
  onChunk(_transport: Transport<Handshake>, _bytes: Uint8Array, _start: number, _end: number): void {}

  onWritable(_transport: Transport<Handshake>): void {}

  onEnd(transport: Transport<Handshake>): void {
    transport.destroy();
  }

  onClosed(transport: Transport<Handshake>, _error: number): void {
    this.#shard.count(Counter.TLS_FAILED);
    this.#handshakes.delete(transport);
    this.#shard.release(transport);
  }

  onTimer(transport: Transport<Handshake>, now: number): number {
    const { deadline } = transport.owner;
    if (now < deadline) return deadline;
    this.#shard.count(Counter.TIMEOUTS);
    transport.destroy();
    return 0;
  }

  /** A handshake that is done in time is followed by what the client wants, which is answered. */
  drain(_transport: Transport<Handshake>, _code: number): void {}

  dismiss(transport: Transport<Handshake>): void {
    transport.destroy();
  }

  // Events of the handshake.

  onServerName(stream: TlsStream, name: string): TlsChoice | null {
    const handshake = handshakeOf(stream);
    if (handshake === null) return null;
    handshake.isNamed = true;
    return this.names.find(name);
  }

  onSecure(stream: TlsStream): void {
    const handshake = handshakeOf(stream);
    if (handshake === null || handshake.isFailed) return;
    // A client that resumes a session needs no certificate, so nobody was told of its name if that is missing.
    if (!handshake.isNamed && stream.serverName !== '') this.onServerName(stream, stream.serverName);
    const { transport } = handshake;
    if (transport.isClosed) return;
    if (!this.#isTrusted(stream)) {
      this.onTlsError(stream, 'certificate');
      return;
    }
    this.#shard.count(Counter.TLS_HANDSHAKES);
    if (stream.isResumed) this.#shard.count(Counter.TLS_RESUMED);
    this.#shard.observeSince(transport.acceptedAt, this.#shard.metrics.histograms.tlsHandshakeTime);
    this.#handshakes.delete(transport);
    handshake.next.startSecure(transport);
  }

  /**
   * Whether the client has no certificate, or one that is vouched for. Not only where one is asked for: a session that is
   * resumed brings its own along, also that of a handshake which failed for it, and of TLS 1.2 the name is not known then.
   */
  #isTrusted(stream: TlsStream): boolean {
    if (stream.peerCertificate() === '') return true;
    if (stream.verifyError() !== '') return false;
    return !stream.isResumed || stream.isCertificateInForce(this.names.authorities, Date.now());
  }

  /** Closes at the end of the turn: this is called from inside OpenSSL. */
  onTlsError(stream: TlsStream, _reason: string): void {
    const transport = transportOf(stream);
    const handshake = handshakeOf(stream);
    if (handshake !== null) handshake.isFailed = true;
    else this.#shard.count(Counter.PROTOCOL_ERRORS);
    this.#shard.io.destroyLater(transport);
  }

  /** Closes the oldest handshake under way for another connection. Returns false when there is none. */
  evictOldest(): boolean {
    return this.#handshakes.evict();
  }

  /** Has `handler` told of names that are not there. */
  set missingServerName(handler: UserCode<(hostname: string) => void>) {
    const failed = (error: unknown): void => {
      this.#shard.count(Counter.HANDLER_ERRORS);
      reportError('the missingServerName handler', error);
    };
    this.names.onMissing = (name) => {
      callUser(handler, failed, name);
    };
  }
}

function handshakeOf(stream: TlsStream): Handshake | null {
  const { owner } = transportOf(stream);
  return owner instanceof Handshake ? owner : null;
}
