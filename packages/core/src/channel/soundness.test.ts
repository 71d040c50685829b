import { describe, expect, test } from 'vitest';
import type { Channel } from './channel.js';
import { Bench } from './model/bench.test.support.js';
import { channelFaults } from './soundness.js';

function expectSound(bench: Bench): void {
  for (const { channel, signer } of [bench.alice, bench.bob])
    expect(channelFaults(channel, signer)).toEqual([]);
}

describe('a channel', () => {
  test('is sound at every message of a payment, kept or failed, and of a change of the feerate', () => {
    const bench = new Bench();
    const deliver = () => {
      while (bench.alice.inbox.length + bench.bob.inbox.length > 0) {
        for (const side of ['alice', 'bob'] as const) {
          bench.deliver(side, 1);
          expectSound(bench);
          bench[side].sign();
          expectSound(bench);
        }
      }
    };
    bench.alice.add();
    bench.alice.add({ amountMsat: 100_000n });
    bench.alice.sign();
    deliver();
    bench.bob.settle(0n);
    bench.bob.settle(1n, { type: 'fail', reason: new Uint8Array(292) });
    bench.bob.sign();
    deliver();
    bench.alice.do({ type: 'updateFee', feeratePerKw: 3_000 });
    bench.alice.sign();
    deliver();
    expect(bench.alice.channel.htlcs.size).toBe(0);
    expect(bench.bob.channel.localMsat).toBe(bench.alice.channel.remoteMsat);
  });

  const broken: [string, (channel: Channel) => Channel, RegExp][] = [
    ['with a balance that is off by a msat', (c) => ({ ...c, localMsat: c.localMsat + 1n }), /are not its/],
    [
      'with a signature of another commitment',
      (c) => ({ ...c, localCommit: { ...c.localCommit, number: c.localCommit.number + 1n } }),
      /could not be published/,
    ],
    [
      'without a secret that it needs to punish',
      (c) => ({ ...c, remoteCommit: { ...c.remoteCommit, number: c.remoteCommit.number + 1n } }),
      /the secret of their commitment/,
    ],
    ['with a sum of HTLCs that is wrong', (c) => ({ ...c, offeredMsat: c.offeredMsat + 1n }), /it counts/],
    ['with an id from the future', (c) => ({ ...c, nextOfferedId: 0n }), /not given yet/],
  ];
  test.each(broken)('%s is found', (_, damage, message) => {
    const bench = new Bench();
    bench.alice.add();
    bench.commit();
    const { channel, signer } = bench.alice;
    expect(channelFaults(channel, signer)).toEqual([]);
    expect(channelFaults(damage(channel), signer).join('\n')).toMatch(message);
  });

  test('whose data is lost, or that is over, has nothing to be compared with', () => {
    const { channel, signer } = new Bench().alice;
    const wrong = { ...channel, localMsat: 0n };
    expect(channelFaults(wrong, signer)).not.toEqual([]);
    expect(channelFaults({ ...wrong, dataLost: true }, signer)).toEqual([]);
    expect(channelFaults({ ...wrong, phase: { name: 'closed' } }, signer)).toEqual([]);
  });
});
