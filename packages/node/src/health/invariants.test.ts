import { hexToBytes } from '@rivulet/core/bytes';
import { decodeInvoice } from '@rivulet/core/invoice';
import { afterEach, describe, expect, test } from 'vitest';
import type { CheckedState } from '../driver/index.js';
import { Pair, until } from '../driver/pair.test.support.js';
import { checkInvariants } from './invariants.js';

const codes = (state: CheckedState): string[] => checkInvariants(state).map(({ code }) => code);

describe('the checks of a node', () => {
  let pair: Pair;
  afterEach(() => pair.stop());

  /** A channel with an HTLC that bob holds. */
  async function held(): Promise<void> {
    pair = await Pair.withChannel();
    const { outgoing } = pair.alice.node.payments;
    const { bolt11, paymentHash } = await pair.bob.node.payments.invoices.create({
      amountMsat: 5_000_000n,
      description: '',
      hold: true,
    });
    outgoing.payInvoice({ invoice: decodeInvoice(bolt11) }).outcome.catch(() => {});
    await until(() => pair.bob.node.storage.getInvoice(paymentHash)?.state === 'held', 'the invoice is held');
  }

  test('find nothing in a node that pays, holds, restarts and closes', async () => {
    await held();
    for (let i = 0; i < 10; i++) await pair.pay(pair.alice, pair.bob).outcome;
    const sides = () => [pair.alice.node, pair.bob.node];
    for (const node of sides()) expect(checkInvariants(node.checkedState)).toEqual([]);
    await pair.restart('alice');
    for (const node of sides()) expect(checkInvariants(node.checkedState)).toEqual([]);
    const [channel] = pair.alice.node.turns.channels.keys();
    await pair.alice.node.closeChannel({ key: channel!, force: true });
    await until(() => pair.closing, 'the commitment is published');
    await pair.mine(10);
    for (const node of sides()) expect(checkInvariants(node.checkedState)).toEqual([]);
  });

  test('find an HTLC that nobody waits for, and one that is overdue', async () => {
    await held();
    const state = pair.alice.node.checkedState;
    expect(codes({ ...state, isSent: () => false })).toEqual(['htlc_of_nobody']);
    // The peer has to say again what became of it: it was paid, or its owner is not known here any more.
    const paid = { ...state.storage, getPreimage: () => new Uint8Array(32) };
    expect(codes({ ...state, isSent: () => false, storage: paid })).toEqual([]);
    const offline = state.channels.map((channel) => ({ ...channel, link: 'offline' as const }));
    expect(codes({ ...state, isSent: () => false, channels: offline })).toEqual([]);
    expect(codes({ ...state, height: 5_000, walletHeight: 5_000 })).toEqual(['htlc_overdue']);
  });

  test('find HTLCs that are not stored, and payments and forwards that nothing will end', async () => {
    await held();
    const { checkedState: state, storage } = pair.alice.node;
    expect(codes({ ...state, storage: { ...storage, loadHtlcs: () => [] } })).toEqual(['channel_not_stored']);
    expect(codes({ ...state, storage: { ...storage, loadSendings: () => [] } })).toEqual([
      'payment_of_nothing',
    ]);
  });

  test('find a channel whose balances do not add up, a wallet that is behind, and a claim that is late', async () => {
    await held();
    const state = pair.alice.node.checkedState;
    const channels = state.channels.map((channel) => ({ ...channel, remoteMsat: channel.remoteMsat - 1n }));
    expect(new Set(codes({ ...state, channels }))).toEqual(new Set(['channel_unsound']));
    expect(codes({ ...state, walletHeight: state.height - 1 })).toEqual(['wallet_behind']);
    const channelId = hexToBytes('01'.repeat(32));
    const claim = { channelId, valueSat: 5n, deadlineHeight: state.height };
    expect(codes({ ...state, openClaims: [claim] })).toEqual(['claim_overdue']);
    expect(codes({ ...state, openClaims: [{ ...claim, deadlineHeight: undefined }] })).toEqual([]);
  });
});
