import type { LinkMemory } from '../bus/link-memory.ts';
import type { AppDescriptor } from './app-descriptor.ts';

/**
 * What joined Apps tell each other, over named ports: each App that gave a descriptor has one to itself, and the
 * acceptor App and its children have one together. Sockets travel beside, through handoff channels.
 *
 *     acceptor                                   child
 *     addChildAppDescriptor ── invite ─────────▶
 *                           ◀────────── hello ──
 *     member-up to all      ── welcome ────────▶ connects to the path
 *     accepts               ── greeting ───────▶ (first message of the channel) topics are shared from here on
 *     sockets               ───────────────────▶ serves them
 *     number is free        ◀─── channel ends ── closes, or dies
 */
export interface Invite {
  readonly type: 'invite';
  /** Name of the port of acceptor and children. */
  readonly group: string;
}

export type GroupMessage =
  // Of a child.
  | { readonly type: 'hello'; readonly app: AppDescriptor }
  /** The App cannot be a child of this acceptor. */
  | {
      readonly type: 'refusal';
      readonly app: AppDescriptor;
      readonly thread: number;
      readonly reason: string;
    }
  // Of the acceptor.
  | Welcome
  /** A thread joins under this number. It comes before anything that the thread can want. */
  | { readonly type: 'member-up'; readonly index: number; readonly inbox: SharedArrayBuffer };

export interface Welcome {
  readonly type: 'welcome';
  /** The child it is for. */
  readonly app: AppDescriptor;
  readonly index: number;
  /** Where the child connects to, which makes the handoff channel to it. */
  readonly path: string;
  readonly links: LinkMemory;
  /** An AckTable, and the doorbell to ring behind each acknowledgement. */
  readonly acks: SharedArrayBuffer;
  readonly ackDoorbell: SharedArrayBuffer;
  /** Memory of the acceptor's address table; null: it does not limit addresses. */
  readonly addresses: SharedArrayBuffer | null;
}

/** The name of the port of one App. */
export function mailboxOf(app: AppDescriptor): string {
  return `millrace app ${app}`;
}

/** The first message of a handoff channel between Apps; each that follows is a socket, unread, with {@link rowText}. */
export const GREETING = 'millrace';

/** A row of the address table, or none, as four characters of a byte each. */
export function rowText(row: number): string {
  return String.fromCharCode(row & 255, (row >>> 8) & 255, (row >>> 16) & 255, row >>> 24);
}
