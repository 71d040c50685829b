import { sha256 } from '@rivulet/core/crypto';
import { defaultForwardLimits } from '@rivulet/core/forwarding';
import { decodeInvoice } from '@rivulet/core/invoice';
import {
  createOnion,
  encodeHopPayload,
  type FailureMessage,
  type HopPayload,
  readFailure,
} from '@rivulet/core/onion';
import { keysendRecordType } from '@rivulet/core/payment';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from './pair.test.support.js';
import { defaultPaymentPolicy } from './paymentPolicy.js';
import { realId, Trio } from './trio.test.support.js';

let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

/** An HTLC to brook with any onion at all; by default one that is fine. */
interface Raw {
  readonly amountMsat?: bigint;
  readonly forwardMsat?: bigint;
  /** From the tip. */
  readonly expiry?: number;
  readonly forwardExpiry?: number;
  readonly shortChannelId?: bigint;
  /** Whom the inner layer of the onion is for. */
  readonly to?: Uint8Array;
  /** 1 to 255; another one, another onion and payment. */
  readonly seed?: number;
}

/** Offers it, and what brook or lake say of it. */
async function offer(
  made: Trio,
  raw: Raw = {},
): Promise<{ hopIndex?: number; failure: FailureMessage } | 'paid'> {
  const { spring } = made;
  const height = made.chain.height;
  const {
    amountMsat = 2_001_200n,
    forwardMsat = 2_000_000n,
    expiry = 160,
    forwardExpiry = 80,
    shortChannelId = realId(made.channel('brook', 'lake')),
    to = made.id('lake'),
    seed = 7,
  } = raw;
  const preimage = new Uint8Array(32).fill(seed);
  const paymentHash = sha256(preimage);
  const forward: HopPayload = {
    amountToForwardMsat: forwardMsat,
    outgoingCltvValue: height + forwardExpiry,
    shortChannelId,
    customRecords: new Map(),
  };
  const final: HopPayload = {
    amountToForwardMsat: forwardMsat,
    outgoingCltvValue: height + forwardExpiry,
    customRecords: new Map([[keysendRecordType, preimage]]),
  };
  const { packet, sharedSecrets } = createOnion({
    sessionKey: new Uint8Array(32).fill(seed + 1),
    associatedData: paymentHash,
    hops: [
      { publicKey: made.id('brook'), payload: encodeHopPayload(forward) },
      { publicKey: to, payload: encodeHopPayload(final) },
    ],
  });
  const { payments } = spring.node;
  const onEvent = payments.onEvent.bind(payments);
  const answer = new Promise<{ hopIndex?: number; failure: FailureMessage } | 'paid'>((resolve, reject) => {
    payments.onEvent = (turn, channel, event) => {
      if (event.type === 'htlcFulfilled') turn.afterCommit(() => resolve('paid'));
      if (event.type === 'htlcRefused') turn.afterCommit(() => reject(event.reason));
      if (event.type === 'htlcFailed') {
        if (event.settlement.type !== 'fail') throw new Error('it was not encrypted');
        const { reason, attributionData } = event.settlement;
        const read = readFailure({ sharedSecrets, reason, attributionData });
        if (read.type !== 'attributed' || read.failure === undefined) throw new Error(read.type);
        const { hopIndex, failure } = read;
        turn.afterCommit(() => resolve({ hopIndex, failure }));
      }
      onEvent(turn, channel, event);
    };
  });
  const key = made.key('spring', 'brook');
  spring.node.turns.enqueue({
    run: (turn) =>
      turn.command(key, {
        type: 'addHtlc',
        requestId: '',
        htlc: { amountMsat, paymentHash, cltvExpiry: height + expiry, onion: packet },
      }),
  });
  const told = await answer;
  payments.onEvent = onEvent;
  await made.settled();
  expect(made.brook.node.storage.loadForwards()).toEqual([]);
  expect(made.brook.node.payments.forwarder.pending).toBe(0);
  return told;
}

describe('what an onion asks of the middle', () => {
  test('is done to the last msat and the last block, and refused beyond, with BOLT 4’s answer', async () => {
    trio = await Trio.withChannels();
    const { height } = trio.chain;
    expect(await offer(trio, { seed: 1 })).toBe('paid');
    const cases: [Raw, FailureMessage['type']][] = [
      [{ amountMsat: 2_001_199n }, 'fee_insufficient'],
      [{ expiry: 159 }, 'incorrect_cltv_expiry'],
      [{ forwardMsat: 999n }, 'amount_below_minimum'],
      [{ forwardExpiry: 3 }, 'expiry_too_soon'],
      [{ expiry: 2_017 }, 'expiry_too_far'],
      [{ shortChannelId: 1n }, 'unknown_next_peer'],
      [{ shortChannelId: realId(trio.channel('brook', 'spring')) }, 'temporary_channel_failure'],
      [{ forwardMsat: 0n }, 'amount_below_minimum'],
    ];
    let seed = 10;
    for (const [raw, type] of cases) {
      const told = await offer(trio, { ...raw, seed: seed++ });
      expect(told, type).toMatchObject({ hopIndex: 0, failure: { type } });
    }
    expect(await offer(trio, { seed: 60, forwardExpiry: 23, expiry: 200 })).toBe('paid');
    expect(trio.chain.height).toBe(height);
    expect(trio.forwarded).toMatchObject({ settledCount: 2, failedCount: 0 });
  });

  test('cannot be asked twice with the same onion', async () => {
    trio = await Trio.withChannels();
    expect(await offer(trio, { seed: 5 })).toBe('paid');
    expect(await offer(trio, { seed: 5 })).toMatchObject({
      hopIndex: 0,
      failure: { type: 'temporary_node_failure' },
    });
    // After a restart it knows no onions: then it is the receiver that has seen the hash.
    await trio.restart('brook');
    await trio.heal();
    expect(await offer(trio, { seed: 5 })).toMatchObject({
      hopIndex: 1,
      failure: { type: 'incorrect_or_unknown_payment_details' },
    });
  });

  test('what the next node cannot read comes back encrypted, as if the middle said so', async () => {
    trio = await Trio.withChannels();
    expect(await offer(trio, { to: trio.id('spring') })).toMatchObject({
      hopIndex: 0,
      failure: { type: 'invalid_onion_hmac' },
    });
    expect(trio.forwarded).toMatchObject({ settledCount: 0, failedCount: 1 });
  });

  test('goes over another channel with the same peer where the one that is named cannot carry it', async () => {
    trio = await Trio.withChannels();
    await trio.mine(1);
    await trio.open('brook', 'lake', true);
    await trio.mine(6);
    await trio.usable();
    const [first, second] = trio.channels('brook', 'lake');
    expect(await offer(trio, { seed: 1, forwardMsat: 400_000_000n, amountMsat: 400_041_000n })).toBe('paid');
    // Both name the first; it has 200,000 sat left.
    await trio.connect('spring', 'brook');
    const back = trio.balance('spring');
    expect(back).toBeLessThan(200_000_000n);
    await trio.brook.node.payments.outgoing.keysend({
      destination: trio.id('spring'),
      amountMsat: 500_000_000n,
      customRecords: new Map(),
    }).outcome;
    await trio.settled();
    const shortChannelId = realId(first!);
    expect(
      await offer(trio, { seed: 2, forwardMsat: 400_000_000n, amountMsat: 400_041_000n, shortChannelId }),
    ).toBe('paid');
    const now = trio.channels('brook', 'lake').map(({ localMsat }) => localMsat);
    expect(now).toEqual([first!.localMsat - 400_000_000n, second!.localMsat - 400_000_000n]);
  });
});

describe('what the payer is told', () => {
  test('of a next node that is away', async () => {
    trio = await Trio.withChannels();
    await trio.stopNode('lake');
    await until(() => trio!.channel('brook', 'lake').link === 'offline', 'lake is away');
    await expect(trio.pay('lake', 1_000_000n).outcome).rejects.toMatchObject({
      code: 'no_route',
      message:
        'there is no route that carries 1,000 sat to this node; the attempt failed at hop 1 of 2: ' +
        'temporary_channel_failure',
      details: { cause: 'temporary_channel_failure', node: trio.brook.node.nodeId },
    });
    expect(trio.spring.node.storage.listPayments().payments).toMatchObject([
      { status: 'failed', failureCode: 'no_route' },
    ]);
  });

  test('of a channel that is being closed, while what went on over it before comes to its end', async () => {
    trio = await Trio.withChannels();
    const { spring, brook, lake } = trio;
    const { bolt11, paymentHash } = await lake.node.payments.invoices.create({
      amountMsat: 1_000_000n,
      description: 'held',
      hold: true,
    });
    const { outcome } = spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(bolt11) });
    await until(() => lake.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
    // Spring does not hear of it.
    brook.node.gossip.publishOwn = () => true;
    const key = trio.key('brook', 'lake');
    await brook.node.closeChannel({ key, force: false });
    await expect(trio.pay('lake', 1_000_000n).outcome).rejects.toMatchObject({
      details: { cause: 'permanent_channel_failure' },
    });
    expect(brook.node.turns.channels.get(key)?.phase.name).toBe('open');
    await lake.node.payments.receiver.settleHeld(paymentHash, undefined);
    expect((await outcome).status).toBe('succeeded');
    await until(
      () => brook.node.turns.channels.get(key)?.phase.name === 'closing',
      'both have signed the close',
    );
    expect(trio.forwarded).toMatchObject({ settledCount: 1, failedCount: 0 });
  });

  test('of a receiver that takes no keysend', async () => {
    const receive = { acceptKeysend: false, minAmountMsat: 1n };
    trio = await Trio.withChannels({ settings: { lake: { policy: { receive } } } });
    await expect(trio.pay('lake', 1_000_000n).outcome).rejects.toMatchObject({
      code: 'refused_by_destination',
      message:
        'the destination does not take this payment: it may not accept keysend, or not this amount or these records',
    });
  });

  test('of a fee that has risen: the old one is taken for ten minutes, then the new one is asked for', async () => {
    let skewMs = 0;
    trio = await Trio.withChannels({ settings: { brook: { now: () => Date.now() + skewMs } } });
    const { spring, brook } = trio;
    // Spring does not hear of it.
    brook.node.gossip.publishOwn = () => true;
    const channel = trio.channel('brook', 'lake');
    await brook.node.setPolicies([trio.key('brook', 'lake')], { feeBaseMsat: 3_000 });
    expect(await trio.pay('lake', 1_000_000n).outcome).toMatchObject({ feeMsat: 1_100n });
    skewMs += 9 * 60_000;
    expect(await trio.pay('lake', 1_000_000n).outcome).toMatchObject({ feeMsat: 1_100n });
    skewMs += 61_000;
    await expect(trio.pay('lake', 1_000_000n).outcome).rejects.toMatchObject({
      code: 'no_route',
      details: { cause: 'fee_insufficient' },
    });
    const shortChannelId = realId(channel);
    const known = spring.node.known.graph.getChannel(shortChannelId)!;
    const direction = Buffer.compare(trio.id('brook'), trio.id('lake')) < 0 ? 0 : 1;
    const { policy } = brook.node.policies.termsOf(channel);
    spring.node.known.graph.updateChannel({
      ...known.policies[direction]!,
      ...policy,
      shortChannelId,
      direction,
    });
    expect(await trio.pay('lake', 1_000_000n).outcome).toMatchObject({ feeMsat: 3_100n });
    await trio.settled();
    expect(trio.forwarded).toMatchObject({ settledCount: 3, feeMsat: 5_300n });
  });
});

describe('a peer holds no more through the middle than its limits:', () => {
  async function withLimits(limits: { maxHeldHtlcs?: number; maxHeldMsat?: bigint }) {
    const forwarding = { ...defaultPaymentPolicy.forwarding, limits: { ...defaultForwardLimits, ...limits } };
    trio = await Trio.withChannels({ settings: { brook: { policy: { forwarding } } } });
    return trio;
  }

  async function hold(made: Trio, amountMsat: bigint): Promise<Uint8Array> {
    const { lake, spring } = made;
    const { bolt11, paymentHash } = await lake.node.payments.invoices.create({
      amountMsat,
      description: 'held',
      hold: true,
    });
    const { outcome } = spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(bolt11) });
    let failed: unknown;
    outcome.catch((error: unknown) => {
      failed = error;
    });
    const state = () => lake.node.storage.getInvoice(paymentHash)?.state;
    await until(() => failed !== undefined || state() === 'held', 'it is held, or failed');
    if (failed !== undefined) throw failed;
    return paymentHash;
  }

  test('in number, also after a restart', async () => {
    const made = await withLimits({ maxHeldHtlcs: 2 });
    const first = await hold(made, 1_000_000n);
    await hold(made, 1_000_000n);
    await expect(hold(made, 1_000_000n)).rejects.toThrow(/temporary_node_failure/);
    await made.restart('brook');
    await made.heal();
    await expect(hold(made, 1_000_000n)).rejects.toThrow(/temporary_node_failure/);
    await made.lake.node.payments.receiver.settleHeld(first, undefined);
    await until(() => made.brook.node.payments.forwarder.pending === 1, 'one is over');
    await hold(made, 1_000_000n);
  });

  test('in value', async () => {
    const made = await withLimits({ maxHeldMsat: 20_000_000n });
    await hold(made, 10_000_000n);
    await expect(hold(made, 10_000_000n)).rejects.toThrow(/temporary_node_failure/);
    await hold(made, 9_990_000n);
  });
});
