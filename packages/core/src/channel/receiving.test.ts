import { describe, expect, test } from 'vitest';
import { sha256 } from '../crypto/index.js';
import type { UpdateAddHtlc } from '../wire/index.js';
import type { ProtocolErrorCode } from './channelError.js';
import { Bench, protocolErrorOf, type Seat } from './model/bench.test.support.js';
import { onionOf, ordinarySetup, preimageOf, startHeight } from './model/setup.test.support.js';

function addMessage({ channel }: Seat, fields: Partial<UpdateAddHtlc> = {}): UpdateAddHtlc {
  return {
    type: 'update_add_htlc',
    channelId: channel.params.channelId,
    id: channel.nextReceivedId,
    amountMsat: 10_000_000n,
    paymentHash: sha256(preimageOf(0)),
    cltvExpiry: startHeight + 400,
    onionRoutingPacket: onionOf(0),
    ...fields,
  };
}

describe('an update_add_htlc that the BOLT forbids', () => {
  const cases: readonly {
    name: string;
    code: ProtocolErrorCode;
    bench?: () => Bench;
    fields?: Partial<UpdateAddHtlc>;
  }[] = [
    { name: 'an id that skips one', code: 'htlc_invalid', fields: { id: 1n } },
    {
      name: 'an id that was used',
      code: 'htlc_invalid',
      fields: { id: 0n },
      bench: () => {
        const bench = new Bench();
        bench.bob.add();
        bench.deliver('alice');
        return bench;
      },
    },
    { name: 'an amount of zero', code: 'htlc_invalid', fields: { amountMsat: 0n } },
    {
      name: 'an amount below our minimum',
      code: 'htlc_invalid',
      fields: { amountMsat: 999n },
      bench: () => new Bench({ alice: { ...ordinarySetup.alice, htlcMinimumMsat: 1_000n } }),
    },
    { name: 'an expiry that is a time', code: 'htlc_invalid', fields: { cltvExpiry: 500_000_000 } },
    {
      name: 'more HTLCs than we take',
      code: 'htlc_limit_exceeded',
      bench: () => {
        const bench = new Bench({ alice: { ...ordinarySetup.alice, maxAcceptedHtlcs: 2 } });
        bench.bob.add();
        bench.bob.add();
        bench.deliver('alice');
        return bench;
      },
    },
    {
      name: 'more in flight than we take',
      code: 'htlc_limit_exceeded',
      fields: { amountMsat: 10_000_001n },
      bench: () => {
        const bench = new Bench({ alice: { ...ordinarySetup.alice, maxHtlcValueInFlightMsat: 20_000_000n } });
        bench.bob.add();
        bench.deliver('alice');
        return bench;
      },
    },
    // Bob has 400,000 sat and has to keep 10,000.
    { name: 'more than the peer has', code: 'htlc_unaffordable', fields: { amountMsat: 400_000_001n } },
    {
      name: 'one msat of the reserve (threat 18)',
      code: 'htlc_unaffordable',
      fields: { amountMsat: 390_000_001n },
    },
    {
      name: 'near dust, when the reserve is all that is left (threat 18)',
      code: 'htlc_unaffordable',
      fields: { amountMsat: 353_000n },
      bench: () => {
        const bench = new Bench();
        bench.bob.add({ amountMsat: 390_000_000n });
        bench.commit();
        return bench;
      },
    },
  ];

  test.each(cases)('$name fails the channel', ({ code, bench = () => new Bench(), fields }) => {
    const { alice } = bench();
    const made = alice.probe(addMessage(alice, fields));
    expect(protocolErrorOf(made)?.code).toBe(code);
    expect(made.channel.phase.name).toBe('failed');
    // Nothing of the message stays, and what is published is what was signed.
    expect([...made.channel.htlcs]).toEqual([...alice.channel.htlcs]);
    expect(made.effects.at(-1)).toMatchObject({ type: 'publish', purpose: 'commitment' });
  });

  test('after shutdown fails the channel', () => {
    const { alice, bob } = new Bench();
    bob.add();
    const [add] = alice.inbox.splice(0);
    bob.do({ type: 'close', script: bob.context.closingScript as Uint8Array });
    alice.do({
      type: 'message',
      message: {
        type: 'shutdown',
        channelId: alice.channel.params.channelId,
        scriptpubkey: bob.context.closingScript as Uint8Array,
      },
    });
    expect(protocolErrorOf(alice.probe(add as UpdateAddHtlc))?.code).toBe('message_unexpected');
  });

  test('from an opener that cannot pay for one output more (threat 18)', () => {
    // Alice opens: 588 sat above her reserve are less than the fee of a commitment with an HTLC.
    const bench = new Bench({ pushMsat: 984_000_000n });
    const { bob } = bench;
    const error = protocolErrorOf(bob.probe(addMessage(bob, { amountMsat: 3_000_000n })));
    expect(error?.code).toBe('htlc_unaffordable');
    // The same amount without an output costs no fee: only the balance counts.
    expect(protocolErrorOf(bob.probe(addMessage(bob, { amountMsat: 353_000n })))).toBeUndefined();
  });
});

describe('an update_add_htlc that is allowed to its last msat', () => {
  test('the whole balance above the reserve, by the side that pays no fee', () => {
    const { alice } = new Bench();
    expect(protocolErrorOf(alice.probe(addMessage(alice, { amountMsat: 390_000_000n })))).toBeUndefined();
  });

  test('what is in flight up to the limit, and the last of the HTLCs that we take', () => {
    const limits = { maxAcceptedHtlcs: 2, maxHtlcValueInFlightMsat: 20_000_000n };
    const bench = new Bench({ alice: { ...ordinarySetup.alice, ...limits } });
    bench.bob.add();
    bench.deliver('alice');
    expect(protocolErrorOf(bench.alice.probe(addMessage(bench.alice)))).toBeUndefined();
  });

  test('the last expiry before times begin', () => {
    const { alice } = new Bench();
    expect(protocolErrorOf(alice.probe(addMessage(alice, { cltvExpiry: 499_999_999 })))).toBeUndefined();
  });

  test('a hash that is pending already (threat 16)', () => {
    const bench = new Bench();
    bench.bob.add();
    bench.deliver('alice');
    expect(protocolErrorOf(bench.alice.probe(addMessage(bench.alice)))).toBeUndefined();
  });
});

describe('dust that the peer offers', () => {
  test('above our limit it is taken, marked and to be failed (threat 4)', () => {
    const bench = new Bench();
    const { alice, bob } = bench;
    alice.setPolicy({ maxDustExposureMsat: 1_000_000n });
    for (let i = 0; i < 4; i++) bob.add({ amountMsat: 300_000n });
    bench.commit();
    const received = alice.events.flatMap((event) => (event.type === 'htlcReceived' ? [event.htlc] : []));
    expect(received.map(({ id, mustFail }) => [id, mustFail])).toEqual([
      [0n, undefined],
      [1n, undefined],
      [2n, undefined],
      [3n, 'dust_exposure'],
    ]);
  });

  test('HTLCs with outputs do not count (threat 4)', () => {
    const bench = new Bench();
    const { alice, bob } = bench;
    alice.setPolicy({ maxDustExposureMsat: 1_000_000n });
    for (let i = 0; i < 4; i++) bob.add({ amountMsat: 900_000n });
    bench.commit();
    const marked = alice.events.filter((event) => event.type === 'htlcReceived' && event.htlc.mustFail);
    expect(marked).toEqual([]);
  });

  test('a small HTLC that is dust in one of the two commitments alone counts too (threat 4)', () => {
    // Alice's dust limit is 546 sat, Bob's 354.
    const bench = new Bench();
    const { alice, bob } = bench;
    alice.setPolicy({ maxDustExposureMsat: 600_000n });
    bob.add({ amountMsat: 400_000n });
    bob.add({ amountMsat: 400_000n });
    bench.commit();
    const marks = alice.events.flatMap((event) =>
      event.type === 'htlcReceived' ? [event.htlc.mustFail] : [],
    );
    expect(marks).toEqual([undefined, 'dust_exposure']);
  });
});
