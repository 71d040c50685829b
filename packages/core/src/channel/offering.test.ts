import { describe, expect, test } from 'vitest';
import { sha256 } from '../crypto/index.js';
import type { ProtocolErrorCode, RefusalCode } from './channelError.js';
import type { NewHtlc, Settlement } from './htlc.js';
import { Bench, protocolErrorOf, refusalOf, type Seat, sentBy } from './model/bench.test.support.js';
import {
  maxFeeratePerKw,
  minFeeratePerKw,
  onionOf,
  ordinarySetup,
  preimageOf,
  startHeight,
} from './model/setup.test.support.js';
import type { ChannelMessage, Step } from './step.js';

/** A bench with one HTLC of Alice's that Bob may settle. */
function withHtlc(htlc: Partial<NewHtlc> = {}): Bench {
  const bench = new Bench();
  bench.alice.add(htlc);
  bench.commit();
  return bench;
}

function expectRefused(made: Step, seat: Seat, code: RefusalCode): void {
  expect(refusalOf(made)).toBe(code);
  expect(made.store).toEqual([]);
  expect(made.effects).toEqual([]);
  expect(made.channel).toBe(seat.channel);
}

describe('adding an HTLC is refused', () => {
  const cases: readonly {
    name: string;
    code: RefusalCode;
    bench?: () => Bench;
    htlc?: Partial<NewHtlc>;
  }[] = [
    { name: 'for nothing', code: 'amount_zero', htlc: { amountMsat: 0n } },
    { name: 'for less than nothing', code: 'amount_zero', htlc: { amountMsat: -1n } },
    {
      name: 'below the minimum of the peer',
      code: 'amount_below_minimum',
      htlc: { amountMsat: 999n },
      bench: () => new Bench({ bob: { ...ordinarySetup.bob, htlcMinimumMsat: 1_000n } }),
    },
    { name: 'with an expiry that is a time', code: 'expiry_invalid', htlc: { cltvExpiry: 500_000_000 } },
    { name: 'with an expiry that has come', code: 'expiry_invalid', htlc: { cltvExpiry: startHeight } },
    {
      name: 'when the peer takes no more',
      code: 'too_many_htlcs',
      bench: () => {
        const bench = new Bench({ bob: { ...ordinarySetup.bob, maxAcceptedHtlcs: 1 } });
        bench.alice.add();
        return bench;
      },
    },
    {
      name: 'when too much would be in flight',
      code: 'in_flight_limit',
      htlc: { amountMsat: 20_000_001n },
      bench: () => new Bench({ bob: { ...ordinarySetup.bob, maxHtlcValueInFlightMsat: 20_000_000n } }),
    },
    { name: 'above the balance', code: 'amount_unaffordable', htlc: { amountMsat: 600_000_001n } },
    {
      name: 'as dust above our limit (threat 4)',
      code: 'dust_exposure',
      htlc: { amountMsat: 300_000n },
      bench: () => {
        const bench = new Bench({ maxDustExposureMsat: 1_000_000n });
        for (let i = 0; i < 3; i++) bench.alice.add({ amountMsat: 300_000n });
        return bench;
      },
    },
    {
      name: 'without a connection',
      code: 'peer_offline',
      bench: () => {
        const bench = new Bench();
        bench.disconnect();
        return bench;
      },
    },
    {
      name: 'before the reestablishment',
      code: 'peer_offline',
      bench: () => {
        const bench = new Bench();
        bench.disconnect();
        bench.connect();
        return bench;
      },
    },
    {
      name: 'after our shutdown',
      code: 'channel_closing',
      bench: () => {
        const bench = new Bench();
        const { alice } = bench;
        alice.add();
        alice.do({ type: 'close', script: alice.context.closingScript as Uint8Array });
        return bench;
      },
    },
    {
      name: 'after their shutdown',
      code: 'channel_closing',
      bench: () => {
        const bench = withHtlc();
        bench.bob.do({ type: 'close', script: bench.bob.context.closingScript as Uint8Array });
        bench.deliver('alice');
        return bench;
      },
    },
    {
      name: 'on a channel that failed',
      code: 'channel_not_open',
      bench: () => {
        const bench = new Bench();
        bench.alice.do({ type: 'forceClose' });
        return bench;
      },
    },
  ];

  test.each(cases)('$name', ({ code, bench = () => new Bench(), htlc }) => {
    const { alice } = bench();
    const before = alice.channel;
    const made = alice.add(htlc);
    expect(refusalOf(made)).toBe(code);
    expect(made.channel).toBe(before);
    expect([made.store, made.effects]).toEqual([[], []]);
  });
});

test('adding an HTLC is refused where the peer as opener cannot pay for its output', () => {
  // Alice opens, and has 1,200 sat above her reserve and the anchors: enough at 1,000 sat for no output.
  const { bob } = new Bench({ pushMsat: (1_000_000n - 12_000n - 660n - 1_200n) * 1000n });
  expectRefused(bob.add(), bob, 'remote_cannot_afford_fee');
  expect(refusalOf(bob.add({ amountMsat: 300_000n }))).toBeUndefined();
});

describe('what an opener keeps back', () => {
  const most = (bench: Bench) => {
    let [fits, breaks] = [0n, 1_000_000_000n];
    const htlc = { paymentHash: sha256(preimageOf(1)), cltvExpiry: startHeight + 9, onion: onionOf(1) };
    const { alice } = bench;
    while (breaks - fits > 1n) {
      const amountMsat = (fits + breaks) / 2n;
      const before = alice.channel;
      const made = alice.add({ ...htlc, amountMsat });
      alice.channel = before;
      if (refusalOf(made) === undefined) fits = amountMsat;
      else breaks = amountMsat;
    }
    return fits;
  };

  test('its reserve, both anchors, and the fee of one HTLC more at twice the feerate', () => {
    // 600,000 sat; 12,000 reserve; 660 anchors; (1,124 + 2 * 172) weight at 2,000 sat per 1,000.
    expect(most(new Bench())).toBe((600_000n - 12_000n - 660n - 2_936n) * 1000n);
  });

  test('without anchors, its reserve and the fee', () => {
    // (724 + 2 * 172) weight at 2,000 sat per 1,000.
    expect(most(new Bench({ commitment: 'static_remotekey' }))).toBe((600_000n - 12_000n - 2_136n) * 1000n);
  });

  test('its fee at a higher feerate that waits to be signed (threat 18)', () => {
    const bench = new Bench();
    bench.alice.do({ type: 'updateFee', feeratePerKw: 2_000 });
    expect(most(bench)).toBe((600_000n - 12_000n - 660n - 5_872n) * 1000n);
  });
});

describe('settling an HTLC of the peer is refused', () => {
  const fulfill: Settlement = { type: 'fulfill', preimage: preimageOf(0) };

  test('that does not exist', () => {
    const { bob } = withHtlc();
    expectRefused(bob.settle(1n), bob, 'htlc_unknown');
  });

  test('that is ours', () => {
    const { alice } = withHtlc();
    expectRefused(alice.settle(0n), alice, 'htlc_unknown');
  });

  test('before it is irrevocable on both sides, at every step on its way', () => {
    const bench = new Bench();
    const { alice, bob } = bench;
    alice.add();
    alice.sign();
    bench.deliver('bob', 1);
    expectRefused(bob.settle(0n), bob, 'htlc_not_committed');
    bench.deliver('bob', 1);
    expectRefused(bob.settle(0n), bob, 'htlc_not_committed');
    bob.sign();
    expectRefused(bob.settle(0n), bob, 'htlc_not_committed');
    bench.deliver('alice');
    expectRefused(bob.settle(0n), bob, 'htlc_not_committed');
    bench.deliver('bob');
    expect(bob.events.map(({ type }) => type)).toContain('htlcReceived');
    expect(sentBy(bob.settle(0n, fulfill))).toEqual(['update_fulfill_htlc']);
  });

  test('twice', () => {
    const { bob } = withHtlc();
    bob.settle(0n, fulfill);
    expectRefused(bob.settle(0n, fulfill), bob, 'htlc_already_settled');
  });

  test('with the preimage of another hash (threat 3)', () => {
    const { bob } = withHtlc();
    expectRefused(bob.settle(0n, { type: 'fulfill', preimage: preimageOf(1) }), bob, 'preimage_wrong');
  });

  test('not while the peer is away: it is kept, and sent when the peer is back', () => {
    const bench = withHtlc();
    bench.disconnect();
    const made = bench.bob.settle(0n, fulfill);
    expect(sentBy(made)).toEqual([]);
    expect(made.store.map(({ type }) => type)).toEqual(['putChannel', 'putHtlc']);
    bench.connect();
    bench.commit();
    expect(bench.alice.events.map(({ type }) => type)).toContain('htlcFulfilled');
    expect(bench.alice.channel.htlcs.size).toBe(0);
  });

  test('not on a channel that failed: the preimage is kept for the claim', () => {
    const { bob } = withHtlc();
    bob.do({ type: 'forceClose' });
    const made = bob.settle(0n, fulfill);
    expect(made.store).toMatchObject([
      { type: 'putChannel' },
      { type: 'putHtlc', htlc: { settlement: fulfill } },
    ]);
    expect(made.effects).toEqual([]);
    expectRefused(bob.settle(0n, { type: 'fail', reason: new Uint8Array(1) }), bob, 'htlc_already_settled');
  });
});

describe('a removal of our HTLC that the BOLT forbids', () => {
  const channelId = new Bench().alice.channel.params.channelId;
  const removals: readonly ChannelMessage[] = [
    { type: 'update_fulfill_htlc', channelId, id: 0n, paymentPreimage: preimageOf(0) },
    { type: 'update_fail_htlc', channelId, id: 0n, reason: new Uint8Array(292) },
    {
      type: 'update_fail_malformed_htlc',
      channelId,
      id: 0n,
      sha256OfOnion: new Uint8Array(32),
      failureCode: 0x8000,
    },
  ];

  function expectFailed(made: Step, code: ProtocolErrorCode): void {
    expect(protocolErrorOf(made)?.code).toBe(code);
    expect(made.channel.phase.name).toBe('failed');
    expect(made.events.map(({ type }) => type)).toEqual(['phaseChanged']);
  }

  test.each(removals)('$type of an HTLC that we never offered (threat 15)', (message) => {
    expectFailed(new Bench().alice.probe(message), 'htlc_unknown_to_peer');
  });

  test.each(removals)('$type of an HTLC that is in no commitment of ours (threat 15)', (message) => {
    const bench = new Bench();
    const { alice, bob } = bench;
    alice.add();
    expectFailed(alice.probe(message), 'htlc_unknown_to_peer');
    alice.sign();
    expectFailed(alice.probe(message), 'htlc_unknown_to_peer');
    bench.deliver('bob');
    bench.deliver('alice');
    // Revoked by the peer, and still in the peer's commitment alone.
    expectFailed(alice.probe(message), 'htlc_unknown_to_peer');
    bob.sign();
    bench.deliver('alice');
    expect(protocolErrorOf(alice.probe(message))).toBeUndefined();
  });

  test.each(removals)('$type of an HTLC that is removed already', (message) => {
    const { alice } = withHtlc();
    alice.do({ type: 'message', message: removals[1] as ChannelMessage });
    expectFailed(alice.probe(message), 'htlc_unknown_to_peer');
  });

  test('a wrong preimage (threats 3 and 15)', () => {
    const { alice } = withHtlc();
    const wrong = { ...removals[0], paymentPreimage: preimageOf(1) } as ChannelMessage;
    expectFailed(alice.probe(wrong), 'preimage_mismatch');
    // What is passed on for others leaves no hash in the log.
    expect(protocolErrorOf(alice.probe(wrong))?.message).not.toMatch(/[0-9a-f]{16}/);
  });

  test('update_fail_malformed_htlc without BADONION', () => {
    const { alice } = withHtlc();
    const wrong = { ...removals[2], failureCode: 0x4005 } as ChannelMessage;
    expectFailed(alice.probe(wrong), 'htlc_invalid');
  });
});

describe('a preimage', () => {
  test('is told and stored at once, before any commitment, and lost by no disconnection', () => {
    const bench = withHtlc();
    const { alice, bob } = bench;
    alice.clear();
    bob.settle(0n);
    const made = bench.deliver('alice') as Step;
    expect(made.store).toMatchObject([{ type: 'putHtlc', htlc: { settlement: { type: 'fulfill' } } }]);
    expect(made.events).toMatchObject([{ type: 'htlcFulfilled', preimage: preimageOf(0) }]);
    bench.disconnect();
    bench.connect();
    bench.commit();
    expect(alice.channel.localMsat).toBe(590_000_000n);
    expect(bob.channel.localMsat).toBe(410_000_000n);
  });

  test('of one of two HTLCs with the same hash and amount settles that one alone (threats 3 and 16)', () => {
    const bench = new Bench();
    const { alice, bob } = bench;
    alice.add();
    alice.add();
    bench.commit();
    bob.settle(1n);
    bench.commit();
    expect([...alice.channel.htlcs].map(({ id }) => id)).toEqual([0n]);
    expect(bob.channel.localMsat).toBe(410_000_000n);
    bob.settle(0n, { type: 'fail', reason: new Uint8Array(292) });
    bench.commit();
    expect(alice.events.map(({ type }) => type).filter((type) => type.startsWith('htlc'))).toEqual([
      'htlcAdded',
      'htlcAdded',
      'htlcFulfilled',
      'htlcFailed',
    ]);
    expect(bob.channel.localMsat).toBe(410_000_000n);
  });

  test('of an HTLC of the peer with the same hash says nothing about ours (threats 3 and 16)', () => {
    const bench = new Bench();
    const { alice, bob } = bench;
    alice.add();
    bob.add();
    bench.commit();
    alice.settle(0n);
    bench.commit();
    expect(bob.channel.htlcs.get('received', 0n)).toMatchObject({ state: 'rcvd_add_ack_revocation' });
    expect(bob.channel.htlcs.get('received', 0n)?.settlement).toBeUndefined();
    expect(alice.channel.localMsat).toBe(610_000_000n);
  });
});

describe('update_fee', () => {
  const receive = (bench: Bench, feeratePerKw: number) =>
    bench.bob.probe({ type: 'update_fee', channelId: bench.bob.channel.params.channelId, feeratePerKw });
  const offer = ({ alice }: Bench, feeratePerKw: number) => alice.do({ type: 'updateFee', feeratePerKw });

  test('is not ours to send where the peer opened the channel', () => {
    const { bob } = new Bench();
    expect(refusalOf(bob.do({ type: 'updateFee', feeratePerKw: 1_000 }))).toBe('not_opener');
  });

  test('is refused by us out of bounds, and taken at them', () => {
    expect(refusalOf(offer(new Bench(), minFeeratePerKw - 1))).toBe('feerate_invalid');
    expect(refusalOf(offer(new Bench(), maxFeeratePerKw + 1))).toBe('feerate_invalid');
    expect(refusalOf(offer(new Bench(), minFeeratePerKw))).toBeUndefined();
    expect(refusalOf(offer(new Bench(), maxFeeratePerKw))).toBeUndefined();
  });

  test('is refused by us while the last one is being committed, and taken again when that is irrevocable', () => {
    const bench = new Bench();
    offer(bench, 500);
    // Not signed yet: the later one takes its place.
    expect(refusalOf(offer(bench, 600))).toBeUndefined();
    bench.alice.do({ type: 'sign' });
    expect(refusalOf(offer(bench, 700))).toBe('feerate_pending');
    bench.commit();
    expect(refusalOf(offer(bench, 700))).toBeUndefined();
  });

  test('is refused by us above what we can pay beside our reserve', () => {
    // 1,000 sat above reserve and anchors, 1,124 weight: 889 sat cost 999, 890 cost 1,000, 891 cost 1,001.
    const poor = () =>
      new Bench({ pushMsat: (1_000_000n - 12_000n - 660n - 1_000n) * 1000n, feeratePerKw: 253 });
    expect(refusalOf(offer(poor(), 891))).toBe('feerate_unaffordable');
    expect(refusalOf(offer(poor(), 890))).toBeUndefined();
    expect(protocolErrorOf(receive(poor(), 891))?.code).toBe('fee_update_invalid');
    expect(protocolErrorOf(receive(poor(), 890))).toBeUndefined();
  });

  test('fails the channel when it comes from the side that does not pay', () => {
    const { alice } = new Bench();
    const { channelId } = alice.channel.params;
    const made = alice.probe({ type: 'update_fee', channelId, feeratePerKw: 1_000 });
    expect(protocolErrorOf(made)?.code).toBe('fee_update_invalid');
  });

  test('fails the channel out of bounds', () => {
    expect(protocolErrorOf(receive(new Bench(), minFeeratePerKw - 1))?.code).toBe('fee_update_invalid');
    expect(protocolErrorOf(receive(new Bench(), maxFeeratePerKw + 1))?.code).toBe('fee_update_invalid');
    expect(protocolErrorOf(receive(new Bench(), 0xffff_ffff))?.code).toBe('fee_update_invalid');
  });

  describe('that turns HTLCs into dust (threat 5)', () => {
    // At 1,000 sat per 1,000 weight 2,000 sat have an output; at 5,000 not.
    const exposed = (count: number) => {
      const bench = new Bench({ commitment: 'static_remotekey', maxDustExposureMsat: 9_000_000n });
      for (let i = 0; i < count; i++) bench.bob.add({ amountMsat: 2_000_000n });
      bench.commit();
      return bench;
    };

    test('is refused by us above the limit', () => {
      expect(refusalOf(offer(exposed(4), 5_000))).toBeUndefined();
      expect(refusalOf(offer(exposed(5), 5_000))).toBe('dust_exposure');
    });

    test('fails the channel above twice the limit', () => {
      expect(protocolErrorOf(receive(exposed(9), 5_000))).toBeUndefined();
      expect(protocolErrorOf(receive(exposed(10), 5_000))?.code).toBe('fee_update_invalid');
    });

    test('is no matter where it falls, nor with anchors, which trim by value alone', () => {
      expect(protocolErrorOf(receive(exposed(10), 900))).toBeUndefined();
      const anchors = new Bench({ maxDustExposureMsat: 1_000_000n });
      for (let i = 0; i < 5; i++) anchors.bob.add({ amountMsat: 2_000_000n });
      anchors.commit();
      expect(protocolErrorOf(receive(anchors, 5_000))).toBeUndefined();
    });
  });

  test('takes the place of one that is not signed, and reaches both commitments', () => {
    const bench = new Bench();
    offer(bench, 2_000);
    offer(bench, 3_000);
    expect(bench.alice.channel.fee.updates).toEqual([{ feeratePerKw: 3_000, state: 'sent_add' }]);
    bench.commit();
    expect(bench.alice.channel.fee).toEqual({ feeratePerKw: 3_000, updates: [] });
    expect(bench.bob.channel.fee).toEqual({ feeratePerKw: 3_000, updates: [] });
  });
});
