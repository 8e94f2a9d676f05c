import type { StompSession } from '../session/session.ts';

/**
 * Seconds until the timer is to look at a session again: a quarter of the time in which it has to keep its promises, 5 at
 * most; 0: it has none.
 */
export function visitInterval({ tickInterval }: StompSession<unknown>): number {
  return tickInterval === 0 ? 0 : Math.min(Math.max(Math.floor(tickInterval / 4000), 1), 5);
}
