import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventQueue } from './eventQueue.js';

test('runs everything in the order of time, and of scheduling at the same time', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(20), { maxLength: 60 }),
      fc.array(fc.nat(20), { maxLength: 20 }),
      (first, later) => {
        const queue = new EventQueue(5);
        const ran: [number, number][] = [];
        let order = 0;
        const schedule = (delay: number) => {
          const mine = order++;
          queue.after(delay, () => {
            ran.push([queue.nowMs, mine]);
            const more = later[mine];
            if (more !== undefined) schedule(more);
          });
        };
        for (const delay of first) schedule(delay);
        while (queue.runNext());
        expect(ran).toHaveLength(order);
        expect([...ran].sort(([a, x], [b, y]) => a - b || x - y)).toEqual(ran);
        expect(queue.size).toBe(0);
      },
    ),
  );
});

test('what is in the past runs now, and what is between milliseconds at the next one', () => {
  const queue = new EventQueue(100);
  const at: number[] = [];
  queue.at(3, () => at.push(queue.nowMs));
  queue.at(100.2, () => at.push(queue.nowMs));
  while (queue.runNext());
  expect(at).toEqual([100, 101]);
});
