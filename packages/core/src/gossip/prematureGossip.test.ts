import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PrematureGossip } from './prematureGossip.js';
import { nowSeconds, sampleNodeAnnouncement, unsignedUpdate } from './samples.test.support.js';

const update = (shortChannelId: bigint, timestamp = nowSeconds) =>
  unsignedUpdate({ shortChannelId, timestamps: [timestamp, timestamp] }, 0);

describe('gossip that comes before its channel', () => {
  test('is given out once, when the channel is there, in the order of its arrival', () => {
    const held = new PrematureGossip();
    held.add('peer a', update(1n, 10));
    held.add('peer b', update(1n, 20));
    held.add('peer a', update(2n, 30));
    expect(held.take(1n)).toEqual([
      { peer: 'peer a', message: update(1n, 10) },
      { peer: 'peer b', message: update(1n, 20) },
    ]);
    expect(held.take(1n)).toEqual([]);
    expect(held.size).toBe(1);
  });

  test('of a node is given out by its id', () => {
    const held = new PrematureGossip();
    const message = sampleNodeAnnouncement();
    held.add('peer', message);
    expect(held.takeNode(message.nodeId)).toEqual([{ peer: 'peer', message }]);
    expect(held.takeNode(message.nodeId)).toEqual([]);
    expect(held.bytes).toBe(0);
  });

  test('is forgotten with its peer', () => {
    const held = new PrematureGossip();
    held.add('peer a', update(1n));
    held.add('peer b', update(1n));
    held.drop('peer a');
    held.drop('peer c');
    expect(held.take(1n)).toEqual([{ peer: 'peer b', message: update(1n) }]);
  });

  test('threat 21: a flood of one peer pushes out the oldest of its own and nothing of others', () => {
    const held = new PrematureGossip({ maxPeerBytes: 10_000, maxBytes: 100_000 });
    held.add('honest', update(7n));
    for (let i = 0; i < 10_000; i++) held.add('hostile', update(BigInt(1000 + i)));
    expect(held.bytes).toBeLessThan(11_000);
    expect(held.take(1000n)).toEqual([]);
    expect(held.take(10_999n)).toHaveLength(1);
    expect(held.take(7n)).toHaveLength(1);
  });

  test('threat 21: many hostile peers together stay within the bound, and a modest one keeps what it sent', () => {
    const held = new PrematureGossip({ maxPeerBytes: 10_000, maxBytes: 40_000 });
    held.add('honest', update(7n));
    for (let i = 0; i < 5000; i++) held.add(`hostile ${i % 20}`, update(BigInt(1000 + i)));
    expect(held.bytes).toBeLessThanOrEqual(40_000);
    expect(held.take(7n)).toHaveLength(1);
  });

  test('threat 21: a message that is longer than any needs to be is not kept', () => {
    const held = new PrematureGossip();
    expect(held.add('peer', { ...update(1n), extension: new Uint8Array(65_000) })).toBe(false);
    expect(held.size).toBe(0);
  });

  test('threat 21: the bounds hold, and the sums are right, whatever happens', () => {
    const event = fc.oneof(
      fc.record({
        do: fc.constant('add' as const),
        peer: fc.nat(5),
        id: fc.bigInt(0n, 9n),
        length: fc.nat(900),
      }),
      fc.record({ do: fc.constant('take' as const), id: fc.bigInt(0n, 9n) }),
      fc.record({ do: fc.constant('drop' as const), peer: fc.nat(5) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 120 }), (events) => {
        const held = new PrematureGossip({ maxPeerBytes: 5000, maxBytes: 9000 });
        for (const one of events) {
          if (one.do === 'add')
            held.add(`${one.peer}`, { ...update(one.id), extension: new Uint8Array(one.length) });
          else if (one.do === 'take')
            for (const { message } of held.take(one.id)) expect(message.shortChannelId).toBe(one.id);
          else held.drop(`${one.peer}`);
          expect(held.bytes).toBeLessThanOrEqual(9000);
        }
        for (let id = 0n; id < 10n; id++) held.take(id);
        expect([held.size, held.bytes]).toEqual([0, 0]);
      }),
      { numRuns: 100 },
    );
  });
});
