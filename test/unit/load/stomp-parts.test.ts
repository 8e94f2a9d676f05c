import { describe, expect, it } from 'vitest';
import { planOf } from '../../../src/load/options.ts';
import { Destinations, roleOf } from '../../../src/load/scenarios/stomp/destinations.ts';
import { RunTally } from '../../../src/load/scenarios/stomp/run-tally.ts';

const plan = (connections: number, publishers: number, consumers: number, destinations: number) =>
  planOf({ url: 'ws://localhost', scenario: 'stomp', connections, publishers, consumers, destinations });

describe('Destinations', () => {
  it.each([
    [10, 1, 0, 3],
    [10, 2, 8, 3],
    [20, 3, 7, 2],
  ])('of %d connections, %d publishing and %d consuming: each of %d is served', (...numbers) => {
    const made = plan(...numbers);
    const destinations = new Destinations(made, 35);
    const roles = Array.from({ length: made.connections }, (_, i) => roleOf(made, destinations, i));
    const publishers = roles.filter(({ name }) => name === 'publisher');
    expect(publishers.map((role) => role.name === 'publisher' && role.number)).toEqual(
      publishers.map((_, i) => i),
    );
    expect(publishers).toHaveLength(made.publishers);
    expect(roles.filter(({ name }) => name === 'consumer')).toHaveLength(made.consumers);
    for (const [i, name] of destinations.names.entries()) {
      const those = roles.filter((role) => role.name !== 'publisher' && role.destination === i);
      expect(those.filter((role) => role.name !== 'publisher' && role.isFirst)).toHaveLength(1);
      for (const { name: role } of those)
        expect(role).toBe(destinations.isQueue(i) ? 'consumer' : 'subscriber');
      expect(name).toMatch(destinations.isQueue(i) ? /^\/queue\/millrace-bench-z-\d$/ : /^\/topic\//);
    }
  });

  it('knows the next message to a destination, and how many went to queues', () => {
    const destinations = new Destinations(plan(20, 3, 7, 2), 0);
    let queued = 0;
    for (let published = 0; published < 50; published++) {
      expect(destinations.queued(published)).toBe(queued);
      if (destinations.isQueue(published % destinations.count)) queued++;
      for (let to = 0; to < destinations.count; to++) {
        const next = destinations.nextTo(to, published);
        expect(next % destinations.count).toBe(to);
        expect(next).toBeGreaterThanOrEqual(published);
        expect(next - published).toBeLessThan(destinations.count);
      }
    }
  });
});

describe('RunTally', () => {
  it('ticks each message off once, whichever thread got it', () => {
    const one = new RunTally(2, 700);
    const other = new RunTally(2, 700, one.memory);
    expect(other.run).toBe(one.run);
    for (let n = 0; n < 5000; n++) expect((n % 2 === 0 ? one : other).consume(1, n)).toBe(true);
    expect(one.consume(1, 4999)).toBe(false);
    expect(other.consume(1, 4998)).toBe(false);
    // From long before: its place is a later one's, who is known nevertheless.
    expect(other.consume(1, 4999 - 2048)).toBe(false);
    expect(one.consume(1, 4999)).toBe(false);
    other.witness(1, 7);
    expect([one.consumed(1), one.settled(1), one.settled(0)]).toEqual([5000, 5007, 0]);
  });
});
