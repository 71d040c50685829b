import { describe, expect, test } from 'vitest';
import { ordinarySetup } from './setup.test.support.js';
import { type Addition, type Move, World } from './world.test.support.js';

const small: Addition = { amount: { kind: 'aboveDust', msat: 1_000_000 }, preimage: 1, expiryDelta: 400 };
const most: Addition = { amount: { kind: 'most', lessMsat: 0 }, preimage: 2, expiryDelta: 400 };

const many = new Array<Addition>(20).fill(small);

describe('an update that comes behind an acknowledgement which it preceded at first', () => {
  /** The opener, with an unsigned update and nothing to spare, acknowledges many HTLCs of the other side. */
  function crowded(update: Move): World {
    const world = new World({ setup: ordinarySetup, eager: true, simpleClose: false });
    world.deliverAll();
    world.do({ move: 'add', side: 'alice', additions: [small] });
    world.do({ move: 'add', side: 'bob', additions: many });
    world.do(update);
    expect(world.alice.refusals).toEqual([]);
    world.deliver('alice', 100);
    return world;
  }

  test('an HTLC that no signature covers is taken', () => {
    const world = crowded({ move: 'add', side: 'alice', additions: [most] });
    world.disconnect();
    world.finish();
  });

  test('an HTLC that was signed for after the acknowledgement is taken', () => {
    const world = crowded({ move: 'add', side: 'alice', additions: [most] });
    world.deliver('bob', 3);
    world.deliver('alice', 100);
    world.disconnect();
    world.finish();
  });

  test('a feerate that no signature covers is given up', () => {
    const world = crowded({ move: 'fee', feeratePerKw: 20_000 });
    expect(world.alice.channel.fee.updates).toEqual([{ feeratePerKw: 20_000, state: 'sent_add' }]);
    world.disconnect();
    world.finish();
    expect(world.bob.channel.fee.feeratePerKw).toBe(ordinarySetup.feeratePerKw);
  });
});
