import { MIN_HEADWAY } from '../net/headway.ts';
import type { IdleTimer } from '../net/idle-timer.ts';
import { ConnectionState } from '../protocol/connection.ts';
import { FIN } from '../protocol/frame-header.ts';
import { Opcode } from '../protocol/opcode.ts';
import type { CheckedBehavior } from './behavior.ts';
import type { Session } from './session.ts';

const NO_BYTES = new Uint8Array(0);

/**
 * SessionClock: the deadlines of a route's sessions: how long one may live, be silent, make no headway, and take to close;
 * and when a silent peer is pinged. Seconds are those of the thread's timer, which looks at a socket when it is told to.
 */
export class SessionClock {
  readonly #behavior: CheckedBehavior;
  readonly #timer: IdleTimer;
  readonly #pingMargin: number;

  constructor(behavior: CheckedBehavior, timer: IdleTimer) {
    this.#behavior = behavior;
    this.#timer = timer;
    this.#pingMargin = pingMargin(behavior.idleTimeout);
  }

  /** The session is open from now on. */
  start(session: Session): void {
    const timer = this.#timer;
    const { maxLifetime, idleTimeout } = this.#behavior;
    session.transport.lastActive = timer.now;
    if (maxLifetime > 0) session.expiresAt = timer.now + maxLifetime * 60;
    if (maxLifetime > 0 || idleTimeout > 0) timer.schedule(session.transport, this.nextVisit(session));
  }

  /** A session that closes is cut off when the peer has had its time to follow. */
  startCutOff(session: Session): void {
    if (session.cutOffAt !== 0) return;
    const timer = this.#timer;
    // One more second: the clock's second may be nearly over.
    session.cutOffAt = timer.now + this.#behavior.closeTimeout + 1;
    if (!session.transport.isClosed) timer.schedule(session.transport, session.cutOffAt);
  }

  /** An incomplete message is headway only by MIN_HEADWAY at a time: single bytes keep no connection alive. */
  noteProgress(session: Session): void {
    const { length } = session.message;
    session.progress ??= { since: 0, length: 0, write: null };
    const { progress } = session;
    if (progress.since !== 0 && length - progress.length < MIN_HEADWAY) return;
    progress.since = this.#timer.now;
    progress.length = length;
  }

  /** Whether the peer was silent, or made no headway, for too long. Pings it when it is silent and may answer still. */
  isTimedOut(session: Session, now: number): boolean {
    const { idleTimeout, sendPingsAutomatically } = this.#behavior;
    if (idleTimeout === 0 || session.state !== ConnectionState.OPEN) return false;
    if (session.stalledSince !== 0 && now - session.stalledSince >= idleTimeout) return true;
    // A peer that answers pings and does not read would keep its queue for ever.
    if (session.transport.blocked && session.unreadFor(now) >= idleTimeout) return true;
    if (!sendPingsAutomatically) return now - session.transport.lastActive >= idleTimeout;
    if (session.pingedAt !== 0) return now - session.pingedAt >= this.#pingMargin;
    if (now - session.transport.lastActive >= idleTimeout - this.#pingMargin) {
      session.pingedAt = now;
      session.route.protocol.sender.bytes(session.transport, FIN | Opcode.PING, NO_BYTES);
    }
    return false;
  }

  /** The second in which the timer is to look at it next; 0: never. */
  nextVisit(session: Session): number {
    if (session.cutOffAt !== 0) return session.cutOffAt;
    const { idleTimeout, sendPingsAutomatically } = this.#behavior;
    const limits = [session.expiresAt];
    // The earliest of all that apply.
    if (idleTimeout !== 0) {
      const { lastActive } = session.transport;
      if (session.stalledSince !== 0) limits.push(session.stalledSince + idleTimeout);
      if (session.unreadSince !== 0) limits.push(session.unreadSince + idleTimeout);
      if (session.pingedAt !== 0) limits.push(session.pingedAt + this.#pingMargin);
      else limits.push(lastActive + idleTimeout - (sendPingsAutomatically ? this.#pingMargin : 0));
    }
    const set = limits.filter((limit) => limit !== 0);
    return set.length === 0 ? 0 : Math.min(...set);
  }
}

/** Seconds before the end of `idleTimeout` at which a silent peer is pinged, as in uWebSockets.js. */
function pingMargin(idleTimeout: number): number {
  if (idleTimeout >= 64) return 16;
  return idleTimeout >= 32 ? 8 : 4;
}
