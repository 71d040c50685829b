import { describe, expect, test } from 'vitest';
import { buildLegacyClosingTx, closingTxWeight, feeForWeightSat, signClosingTx } from '../../tx/index.js';
import { accepterSigner, withHighS } from '../opening/opening.test.support.js';
import { Pair, scripts } from './pair.test.support.js';

const closingWeight = closingTxWeight([scripts.opener, scripts.accepter]);
const feeAt = (feeratePerKw: number) => feeForWeightSat(closingWeight, feeratePerKw);

/** A pair whose accepter answers the opener's closing_signed by nothing: the test speaks for it. */
function silentAccepter(): Pair {
  const pair = Pair.open({ simpleClose: false });
  pair.tamper = (message) => (message.type === 'closing_signed' ? undefined : message);
  pair.close('opener');
  expect(pair.opener.sentOf('closing_signed')).toHaveLength(1);
  return pair;
}

/** The accepter's closing_signed with a fee, as it would sign it. */
function answer(pair: Pair, feeSat: bigint, variant: { omit?: 'local' | 'remote' } = {}) {
  const { params, localMsat, remoteMsat } = pair.accepter.channel;
  const tx = buildLegacyClosingTx({
    fundingOutpoint: params.fundingOutpoint,
    toLocalMsat: localMsat,
    toRemoteMsat: remoteMsat,
    localScript: scripts.accepter,
    remoteScript: scripts.opener,
    feeSat,
    localIsOpener: false,
    dustLimitSat: params.local.dustLimitSat,
    ...variant,
  });
  const { fundingSat, remote, channelId } = params;
  const signature = signClosingTx({
    signer: accepterSigner,
    tx,
    fundingSat,
    remoteFundingPubkey: remote.fundingPubkey,
  });
  return { tx, message: { type: 'closing_signed', channelId, feeSat, signature } as const };
}

describe('closing_signed', () => {
  test("agrees on the accepter's higher fee in three messages", () => {
    const pair = Pair.open({ simpleClose: false });
    pair.accepter.setClosingFeerate(1_500);
    pair.close('accepter');
    const fees = [...pair.opener.sentOf('closing_signed'), ...pair.accepter.sentOf('closing_signed')];
    expect(fees.map(({ feeSat }) => feeSat)).toEqual([feeAt(1_000), feeAt(1_500), feeAt(1_500)]);
    expect(fees[0]?.feeRange).toEqual({ minFeeSat: feeAt(253), maxFeeSat: feeAt(1_000) * 2n });
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
    expect(pair.opener.channel.phase.name).toBe('closing');
  });

  test('is over after two messages where the accepter is content', () => {
    const pair = Pair.open({ simpleClose: false });
    pair.accepter.setClosingFeerate(300);
    pair.close('opener');
    expect(pair.opener.sentOf('closing_signed')).toHaveLength(1);
    expect(pair.accepter.sentOf('closing_signed').map(({ feeSat }) => feeSat)).toEqual([feeAt(1_000)]);
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
  });

  test('ends in a warning where the ranges have no overlap, and in a close once they have', () => {
    const pair = Pair.open({ simpleClose: false });
    pair.opener.setClosingFeerate(100);
    pair.close('opener');
    expect(pair.accepter.sent.at(-1)?.type).toBe('warning');
    expect(pair.accepter.reports.at(-1)).toMatch(/no overlap/);
    expect(pair.accepter.disconnects).toBe(1);
    expect(pair.accepter.channel.phase.name).toBe('open');
    pair.opener.setClosingFeerate(500);
    pair.reconnect({ simpleClose: false });
    expect(pair.accepter.channel.phase.name).toBe('closing');
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
  });

  test("has the accepter answer with a range that reaches as far as the opener's", () => {
    const pair = Pair.open({ simpleClose: false });
    const feeRange = { minFeeSat: 0n, maxFeeSat: 1n << 62n };
    pair.tamper = (message, from) =>
      message.type === 'closing_signed' && from === 'opener' ? { ...message, feeRange } : message;
    pair.close('opener');
    const [reply] = pair.accepter.sentOf('closing_signed');
    expect(reply?.feeRange).toEqual({ minFeeSat: feeAt(253), maxFeeSat: 1n << 62n });
  });

  test('pays no more than the opener has', () => {
    const pair = Pair.open({ simpleClose: false, opener: { fundingSat: 100_000n, pushMsat: 97_000_000n } });
    pair.opener.setClosingFeerate(20_000);
    pair.close('opener');
    expect(pair.accepter.sentOf('closing_signed').map(({ feeSat }) => feeSat)).toEqual([3_000n]);
    expect(pair.opener.published.at(-1)?.outputs.map(({ valueSat }) => valueSat)).toEqual([97_000n]);
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
  });

  test('understands a peer that knows no fee ranges', () => {
    const pair = Pair.open({ simpleClose: false });
    pair.tamper = (message) => {
      if (message.type !== 'closing_signed') return message;
      const { feeRange: _, ...old } = message;
      return old;
    };
    pair.accepter.setClosingFeerate(1_500);
    pair.close('opener');
    expect(pair.opener.channel.phase.name).toBe('closing');
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
  });

  test('lets the peer give up its own output', () => {
    const pair = silentAccepter();
    const { tx, message } = answer(pair, feeAt(1_200), { omit: 'local' });
    expect(tx.outputs).toHaveLength(1);
    pair.do('opener', { type: 'message', message });
    expect(pair.opener.channel.phase.name).toBe('closing');
    expect(pair.opener.published.at(-1)?.outputs).toEqual(tx.outputs);
    // Its answer is for the variant that the peer chose.
    const [, reply] = pair.opener.sentOf('closing_signed');
    expect(reply?.feeSat).toBe(feeAt(1_200));
  });

  test.each([
    ['above our range', 3_000, 'failed'],
    ['below our range', 200, 'failed'],
    ['in our range', 1_900, 'closing'],
  ] as const)('with a fee %s', (_, feeratePerKw, phase) => {
    const pair = silentAccepter();
    const feeRange = { minFeeSat: 0n, maxFeeSat: 1_000_000n };
    const { message } = answer(pair, feeAt(feeratePerKw));
    pair.do('opener', { type: 'message', message: { ...message, feeRange } });
    expect(pair.opener.channel.phase.name).toBe(phase);
    expect(pair.opener.sent.at(-1)?.type).toBe(phase === 'failed' ? 'error' : 'closing_signed');
  });

  test('without ranges refuses a fee that does not come closer', () => {
    const pair = silentAccepter();
    pair.do('opener', { type: 'message', message: answer(pair, feeAt(9_000)).message });
    expect(pair.opener.sentOf('closing_signed').map(({ feeSat }) => feeSat)).toEqual([
      feeAt(1_000),
      feeAt(1_000) * 2n,
    ]);
    pair.do('opener', { type: 'message', message: answer(pair, feeAt(9_500)).message });
    expect(pair.opener.reports.at(-1)).toMatch(/is not between/);
    expect(pair.opener.disconnects).toBe(1);
    expect(pair.opener.published).toEqual([]);
  });

  test('that signs another fee than it says is refused', () => {
    const pair = silentAccepter();
    const { message } = answer(pair, feeAt(1_000));
    pair.do('opener', { type: 'message', message: { ...message, feeSat: feeAt(1_000) + 1n } });
    expect(pair.opener.reports.at(-1)).toMatch(/signature/);
    expect(pair.opener.disconnects).toBe(1);
    expect(pair.opener.published).toEqual([]);
  });

  test('that takes our output away is refused', () => {
    const pair = silentAccepter();
    const { tx, message } = answer(pair, feeAt(1_000), { omit: 'remote' });
    expect(tx.outputs.map(({ script }) => script)).toEqual([scripts.accepter]);
    pair.do('opener', { type: 'message', message });
    expect(pair.opener.published).toEqual([]);
  });

  test('threat 2: a signature with high S is refused', () => {
    const pair = silentAccepter();
    const { message } = answer(pair, feeAt(1_000));
    const high = { ...message, signature: withHighS(message.signature) };
    pair.do('opener', { type: 'message', message: high });
    expect(pair.opener.disconnects).toBe(1);
    expect(pair.opener.published).toEqual([]);
    expect(pair.opener.channel.phase.name).toBe('open');
  });

  test.each([1_000_000n, 799_999n + 1n, (1n << 64n) - 1n])(
    'with a fee of %s sat, more than the opener has, is refused',
    (feeSat) => {
      const pair = silentAccepter();
      const { message } = answer(pair, feeAt(1_000));
      pair.do('opener', { type: 'message', message: { ...message, feeSat } });
      expect(pair.opener.disconnects).toBe(1);
      expect(pair.opener.channel.phase.name).toBe('open');
    },
  );

  test('out of turn is refused', () => {
    const pair = Pair.open({ simpleClose: false });
    const { message } = answer(pair, feeAt(1_000));
    pair.do('opener', { type: 'message', message });
    expect(pair.opener.disconnects).toBe(1);
    const pending = Pair.open({ simpleClose: false });
    pending.pay('opener', 10_000_000n);
    pending.close('opener');
    pending.do('opener', { type: 'message', message });
    expect(pending.opener.disconnects).toBe(1);
    const simple = Pair.open({ simpleClose: true });
    simple.close('opener');
    simple.do('opener', { type: 'message', message });
    expect(simple.opener.reports.at(-1)).toMatch(/out of turn/);
  });

  test('an output that would not be relayed fails the channel', () => {
    const pair = Pair.open({ simpleClose: false, opener: { pushMsat: 250_000n } });
    const { params } = pair.accepter.channel;
    // Such dust limits come from no opening of ours.
    const lower = { ...params, local: { ...params.local, dustLimitSat: 100n } };
    pair.accepter.channel = { ...pair.accepter.channel, params: lower };
    pair.opener.channel = {
      ...pair.opener.channel,
      params: { ...pair.opener.channel.params, remote: lower.local },
    };
    pair.tamper = (message) => (message.type === 'closing_signed' ? undefined : message);
    pair.close('opener');
    pair.do('opener', { type: 'message', message: answer(pair, feeAt(1_000)).message });
    expect(pair.opener.channel.phase.name).toBe('failed');
  });
});
