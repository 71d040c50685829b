import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../../bytes/index.js';
import { secp256k1 } from '../../crypto/index.js';
import {
  closingTxWeight,
  feeForWeightSat,
  fundingSpendSighash,
  signatureFromDer,
  type Transaction,
  weight,
} from '../../tx/index.js';
import { p2trOf, p2wpkhOf } from '../opening/opening.test.support.js';
import type { ChannelMessage } from '../step.js';
import { isClean } from './index.js';
import { fundingHeight, Pair, preimage, type SideName, scripts } from './pair.test.support.js';

const bothSides: readonly SideName[] = ['opener', 'accepter'];
const methods = [
  ['closing_signed', false],
  ['closing_complete', true],
] as const;
const opReturn = Uint8Array.from([0x6a, 6, 1, 2, 3, 4, 5, 6]);

/** Checks both signatures of a transaction that spends the funding output, and gives its fee. */
function verifiedFeeSat(pair: Pair, tx: Transaction): bigint {
  const { local, remote, fundingSat, fundingOutpoint } = pair.opener.channel.params;
  const [input] = tx.inputs;
  expect(tx.inputs).toHaveLength(1);
  expect(input?.outpoint).toEqual(fundingOutpoint);
  const [, first, second] = (input as (typeof tx.inputs)[number]).witness as Uint8Array[];
  const hash = fundingSpendSighash({ tx, fundingSat, pubkeys: [local.fundingPubkey, remote.fundingPubkey] });
  const keys = [local.fundingPubkey, remote.fundingPubkey].sort((a, b) =>
    bytesToHex(a) < bytesToHex(b) ? -1 : 1,
  );
  for (const [i, der] of [first, second].entries()) {
    const { signature } = signatureFromDer(der as Uint8Array);
    expect(secp256k1.verify(signature, hash, keys[i] as Uint8Array)).toBe(true);
  }
  return fundingSat - tx.outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
}

function outputTo(tx: Transaction, script: Uint8Array): bigint | undefined {
  return tx.outputs.find((output) => bytesToHex(output.script) === bytesToHex(script))?.valueSat;
}

function lastTx(pair: Pair, side: SideName = 'opener'): Transaction {
  return pair[side].published.at(-1) as Transaction;
}

const idealFeeSat = feeForWeightSat(closingTxWeight([scripts.opener, scripts.accepter]), 1_000);

describe.each(methods)('a close by %s', (_, simpleClose) => {
  describe.each(bothSides)('that the %s begins', (side) => {
    test('ends with the same transactions on both sides', () => {
      const pair = Pair.open({ simpleClose });
      const { localMsat, remoteMsat } = pair.opener.channel;
      pair.close(side);
      expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
      expect(pair.opener.closingHex).toHaveLength(simpleClose ? 2 : 1);
      for (const { channel, stored, published, events } of [pair.opener, pair.accepter]) {
        expect(channel.phase.name).toBe('closing');
        expect(stored.phase.name).toBe('closing');
        expect(stored.closingTransactions).toEqual(channel.closingTransactions);
        expect(published).toEqual(expect.arrayContaining([...channel.closingTransactions]));
        expect(events.filter(({ type }) => type === 'phaseChanged')).toHaveLength(2);
      }
      const payers = pair.opener.channel.closingTransactions.map((tx) => {
        // What is below a satoshi goes to the fee too.
        const feeSat = verifiedFeeSat(pair, tx) - 1n;
        expect(feeSat).toBe(idealFeeSat);
        expect(Number(feeSat)).toBeGreaterThanOrEqual(weight(tx) - 10);
        const openerSat = outputTo(tx, scripts.opener);
        const openerPays = openerSat === localMsat / 1000n - feeSat;
        expect(openerSat).toBe(localMsat / 1000n - (openerPays ? feeSat : 0n));
        expect(outputTo(tx, scripts.accepter)).toBe(remoteMsat / 1000n - (openerPays ? 0n : feeSat));
        return openerPays;
      });
      expect(payers.sort()).toEqual(simpleClose ? [false, true] : [true]);
    });

    test('settles what is pending first and takes nothing new', () => {
      const pair = Pair.open({ simpleClose });
      pair.pay('opener', 50_000_000n);
      pair.pay('accepter', 20_000_000n);
      pair.close(side);
      expect(pair.opener.sentOf('shutdown')).toHaveLength(1);
      expect(pair.accepter.sentOf('shutdown')).toHaveLength(1);
      expect(pair.opener.channel.phase.name).toBe('open');
      expect(pair.opener.published).toEqual([]);
      expect(isClean(pair.opener.channel)).toBe(false);
      pair.pay('accepter', 1_000_000n);
      const refused = pair.accepter.events.at(-1);
      expect(refused?.type === 'htlcRefused' && refused.reason.code).toBe('channel_closing');
      pair.settle('accepter');
      expect(pair.opener.channel.phase.name).toBe('open');
      pair.settle('opener', { type: 'fail', reason: new Uint8Array(10) });
      expect(pair.opener.channel.phase.name).toBe('closing');
      expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
      const { localMsat } = pair.opener.channel;
      expect(localMsat).toBe(749_999_500n);
      expect(isClean(pair.opener.channel)).toBe(true);
    });

    test('waits until the updates of its sender are committed to', () => {
      const pair = Pair.open({ simpleClose });
      const htlc = {
        amountMsat: 5_000_000n,
        paymentHash: preimage,
        cltvExpiry: fundingHeight + 99,
        onion: new Uint8Array(1366),
      };
      pair[side].command({ type: 'addHtlc', requestId: 'a', htlc });
      expect(pair[side].command({ type: 'close', script: scripts[side] })).toEqual([]);
      const sent = pair[side].command({ type: 'sign' });
      expect(sent.map(({ type }) => type)).toEqual(['commitment_signed', 'shutdown']);
    });

    test('works before the funding is confirmed', () => {
      const pair = new Pair();
      pair.reconnect({ simpleClose });
      pair.close(side);
      expect(pair.opener.channel.phase.name).toBe('closing');
      expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
      pair.confirm();
      expect(pair.opener.channel.phase.name).toBe('closing');
      expect(pair.opener.sentOf('channel_ready')).toEqual([]);
    });

    test('that is asked for offline goes out with the next connection', () => {
      const pair = Pair.open();
      pair.disconnect();
      pair.close(side);
      expect(pair[side].sentOf('shutdown')).toEqual([]);
      pair[side].restart();
      pair.reconnect({ simpleClose });
      expect(pair.opener.channel.phase.name).toBe('closing');
      expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
    });
  });

  test('that both begin at once ends as well', () => {
    const pair = Pair.open({ simpleClose });
    for (const side of bothSides) pair.do(side, { type: 'close', script: scripts[side] });
    pair.flush();
    expect(pair.opener.channel.phase.name).toBe('closing');
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
    expect(pair.opener.sentOf('shutdown')).toHaveLength(1);
  });

  const lost: readonly ChannelMessage['type'][] = simpleClose
    ? ['shutdown', 'closing_complete', 'closing_sig']
    : ['shutdown', 'closing_signed'];

  test.each(lost)('whose %s is lost goes on after a reconnection and a restart of both', (type) => {
    for (const from of bothSides) {
      const pair = Pair.open({ simpleClose });
      pair.tamper = (message, sender) => (message.type === type && sender === from ? undefined : message);
      pair.close('opener');
      pair.tamper = (message) => message;
      pair.opener.restart();
      pair.accepter.restart();
      pair.reconnect({ simpleClose });
      expect(pair.opener.channel.phase.name).toBe('closing');
      expect(pair.accepter.channel.phase.name).toBe('closing');
      expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
    }
  });

  test('that is over is agreed on again after a reconnection, to the same transactions', () => {
    const pair = Pair.open({ simpleClose });
    pair.close('accepter');
    const before = pair.opener.closingHex;
    pair.opener.restart();
    expect(pair.opener.published.length).toBeGreaterThan(before.length);
    pair.reconnect({ simpleClose });
    expect(pair.opener.closingHex).toEqual(before);
    expect(pair.accepter.closingHex).toEqual(before);
    expect(pair.opener.disconnects + pair.accepter.disconnects).toBe(0);
  });

  test('stands when a reorganisation takes its transaction back', () => {
    const pair = Pair.open({ simpleClose: false });
    pair.close('opener');
    const { opener } = pair;
    const [tx] = opener.channel.closingTransactions;
    pair.do('opener', { type: 'fundingSpent', by: tx! });
    opener.published.length = 0;
    pair.do('opener', { type: 'fundingUnspent' });
    expect(opener.channel.phase.name).toBe('closing');
    expect(opener.stored.phase.name).toBe('closing');
    expect(opener.published).toEqual([tx]);
  });

  test('waits after a reconnection for the shutdown of the peer, whose script may be another now', () => {
    const pair = Pair.open({ simpleClose });
    pair.tamper = (message) => (message.type.startsWith('closing') ? undefined : message);
    pair.close('accepter');
    // The accepter lost what it had said, and says another script.
    const { shutdown } = pair.accepter.channel;
    pair.accepter.channel = {
      ...pair.accepter.channel,
      shutdown: { ...shutdown, localScript: p2wpkhOf(0xcc) },
    };
    pair.tamper = (message) => message;
    const before = pair.opener.sent.length;
    pair.reconnect({ simpleClose });
    const sent = pair.opener.sent.slice(before).filter(({ type }) => type.startsWith('closing'));
    expect(sent.length).toBeGreaterThan(0);
    expect(pair.opener.stored.shutdown.remoteScript).toEqual(p2wpkhOf(0xcc));
    expect(pair.opener.disconnects + pair.accepter.disconnects).toBe(0);
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
    for (const tx of pair.opener.channel.closingTransactions)
      expect(outputTo(tx, p2wpkhOf(0xcc))).toBeDefined();
  });

  test('pays to the scripts that both committed to at the opening', () => {
    const pair = Pair.open({
      simpleClose,
      opener: { upfrontShutdownScript: p2trOf(1) },
      accepter: { upfrontShutdownScript: p2wpkhOf(2) },
    });
    pair.do('opener', { type: 'close', script: scripts.opener });
    const refused = pair.opener.events.at(-1);
    expect(refused?.type === 'commandRefused' && refused.reason.code).toBe('script_invalid');
    pair.do('opener', { type: 'close', script: p2trOf(1) });
    pair.flush();
    expect(outputTo(lastTx(pair), p2trOf(1))).toBeDefined();
    expect(outputTo(lastTx(pair), p2wpkhOf(2))).toBeDefined();
  });

  test('leaves out an output that would be dust', () => {
    const pair = Pair.open({ simpleClose, opener: { pushMsat: 100_000n } });
    pair.close('accepter');
    expect(pair.opener.channel.phase.name).toBe('closing');
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
    // The accepter has too little to pay for a transaction of its own.
    expect(pair.opener.closingHex).toHaveLength(1);
    expect(lastTx(pair).outputs.map(({ valueSat }) => valueSat)).toEqual([999_900n - idealFeeSat]);
    expect(verifiedFeeSat(pair, lastTx(pair))).toBe(idealFeeSat + 100n);
  });
});

describe('shutdown', () => {
  test('without a script to answer with waits for the command that has one', () => {
    const pair = Pair.open();
    const { closingScript: _, ...context } = pair.accepter.context;
    pair.accepter.context = context;
    pair.close('opener');
    expect(pair.accepter.sentOf('shutdown')).toEqual([]);
    expect(pair.accepter.stored.shutdown.remoteScript).toEqual(scripts.opener);
    pair.close('accepter');
    expect(pair.opener.channel.phase.name).toBe('closing');
  });

  test('is asked for once', () => {
    const pair = Pair.open();
    pair.pay('opener', 10_000_000n);
    pair.close('opener');
    pair.do('opener', { type: 'close', script: scripts.opener });
    pair.settle('accepter');
    pair.do('accepter', { type: 'close', script: scripts.accepter });
    for (const side of bothSides) {
      const refused = pair[side].events.filter(({ type }) => type === 'commandRefused');
      expect(refused.map((event) => event.type === 'commandRefused' && event.reason.code)).toEqual([
        'channel_closing',
      ]);
      expect(pair[side].sentOf('shutdown')).toHaveLength(1);
    }
  });

  test('is refused for a channel that goes to the chain', () => {
    const pair = Pair.open();
    pair.do('opener', { type: 'forceClose' });
    pair.do('opener', { type: 'close', script: scripts.opener });
    const refused = pair.opener.events.at(-1);
    expect(refused?.type === 'commandRefused' && refused.reason.code).toBe('channel_closing');
  });

  test.each([
    ['of no form', Uint8Array.of(0x51)],
    ['a P2PKH script', Uint8Array.from([0x76, 0xa9, 20, ...new Uint8Array(20), 0x88, 0xac])],
    ['an OP_RETURN without option_simple_close', opReturn],
    ['taproot without option_shutdown_anysegwit', p2trOf(1)],
  ])('is refused with %s', (_, script) => {
    const pair = Pair.open({ simpleClose: false });
    pair.reconnect({ simpleClose: false, anySegwit: false });
    pair.do('opener', { type: 'close', script });
    const refused = pair.opener.events.at(-1);
    expect(refused?.type === 'commandRefused' && refused.reason.code).toBe('script_invalid');
    expect(pair.opener.channel.shutdown.localScript).toBeUndefined();
  });

  test('may pay to taproot with option_shutdown_anysegwit', () => {
    const pair = Pair.open({ simpleClose: false });
    pair.do('opener', { type: 'close', script: p2trOf(1) });
    pair.flush();
    expect(outputTo(lastTx(pair), p2trOf(1))).toBeDefined();
  });

  test.each([
    ['of no form', Uint8Array.of(0x51), false],
    ['with an OP_RETURN without option_simple_close', opReturn, false],
    ['with an OP_RETURN that is too short', Uint8Array.from([0x6a, 5, 1, 2, 3, 4, 5]), true],
  ])('from the peer %s is answered by a warning', (_, scriptpubkey, simpleClose) => {
    const pair = Pair.open({ simpleClose });
    const { channelId } = pair.opener.channel.params;
    pair.do('opener', { type: 'message', message: { type: 'shutdown', channelId, scriptpubkey } });
    expect(pair.opener.sent.at(-1)?.type).toBe('warning');
    expect(pair.opener.disconnects).toBe(1);
    expect(pair.opener.channel.phase.name).toBe('open');
    expect(pair.opener.channel.shutdown.remoteScript).toBeUndefined();
  });

  test('from the peer to another script than the one it committed to fails the connection', () => {
    const pair = Pair.open({ accepter: { upfrontShutdownScript: p2wpkhOf(2) } });
    const { channelId } = pair.opener.channel.params;
    const message = { type: 'shutdown', channelId, scriptpubkey: p2wpkhOf(3) } as const;
    pair.do('opener', { type: 'message', message });
    expect(pair.opener.disconnects).toBe(1);
    expect(pair.opener.channel.shutdown.remoteScript).toBeUndefined();
  });

  test('from the peer a second time is ignored, or refused with another script', () => {
    const pair = Pair.open();
    pair.pay('opener', 10_000_000n);
    pair.close('accepter');
    const [message] = pair.accepter.sentOf('shutdown');
    if (message === undefined) throw new Error('no shutdown');
    const before = pair.opener.channel;
    pair.do('opener', { type: 'message', message });
    expect(pair.opener.channel).toEqual(before);
    pair.do('opener', { type: 'message', message: { ...message, scriptpubkey: p2wpkhOf(9) } });
    expect(pair.opener.disconnects).toBe(1);
    expect(pair.opener.channel.shutdown.remoteScript).toEqual(scripts.accepter);
  });
});
