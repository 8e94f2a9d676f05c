import { expect, it } from 'vitest';
import { Intake, ShardIntakes } from '../../../src/acceptor/intake.ts';
import { ControlBlock, Gauge } from '../../../src/metrics/control-block.ts';

it('a thread is stalled when five looks in a row find that it took nothing of what is on its way', () => {
  const intake = new Intake();
  // Nothing is on its way.
  for (let i = 0; i < 20; i++) expect(intake.look(false, 7)).toBe(false);
  for (let i = 0; i < 4; i++) expect(intake.look(true, 7)).toBe(false);
  expect(intake.isStalled).toBe(false);
  expect(intake.look(true, 7)).toBe(true);
  expect(intake.isStalled).toBe(true);
  expect(intake.look(true, 7)).toBe(false);
  // One is enough.
  expect(intake.look(true, 8)).toBe(true);
  expect(intake.isStalled).toBe(false);
});

it('one that takes something now and then is never stalled, however much waits', () => {
  const intake = new Intake();
  for (let taken = 0; taken < 100; taken++) {
    for (let i = 0; i < 4; i++) expect(intake.look(true, taken)).toBe(false);
  }
});

it('counts what is on its way in 32 bits', () => {
  const control = new ControlBlock(2);
  const intakes = new ShardIntakes(
    control,
    () => {},
    () => {},
  );
  intakes.opened(1);
  for (let i = 0; i < 3; i++) intakes.sent(1);
  expect(intakes.waiting(1)).toBe(3);
  control.addGauge(1, Gauge.TAKEN, 2);
  expect(intakes.waiting(1)).toBe(1);
  control.setGauge(1, Gauge.TAKEN, -(2 ** 31));
  expect(intakes.waiting(1)).toBe(3 - 2 ** 31);
  intakes.stop();
});
