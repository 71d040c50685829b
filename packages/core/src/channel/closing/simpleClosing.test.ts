import { describe, expect, test } from 'vitest';
import {
  buildClosingTx,
  type ClosingVariant,
  closingTxWeight,
  feeForWeightSat,
  signClosingTx,
} from '../../tx/index.js';
import type { ClosingComplete, ClosingSig } from '../../wire/index.js';
import {
  accepterSigner,
  type OpeningOptions,
  p2trOf,
  p2wpkhOf,
  withHighS,
} from '../opening/opening.test.support.js';
import { Pair, scripts } from './pair.test.support.js';

const opReturn = Uint8Array.from([0x6a, 6, 1, 2, 3, 4, 5, 6]);
const feeAt = (feeratePerKw: number) =>
  feeForWeightSat(closingTxWeight([scripts.opener, scripts.accepter]), feeratePerKw);
const fields = {
  closer_output_only: 'closerOutputOnly',
  closee_output_only: 'closeeOutputOnly',
  closer_and_closee_outputs: 'closerAndCloseeOutputs',
} as const;

/** A pair at the point where both send closing_complete; none of them arrives. */
function silent(options: OpeningOptions = {}): Pair {
  const pair = Pair.open({ simpleClose: true, ...options });
  pair.tamper = (message) =>
    message.type === 'closing_complete' || message.type === 'closing_sig' ? undefined : message;
  pair.close('opener');
  return pair;
}

interface Terms {
  readonly feeSat?: bigint;
  readonly locktime?: number;
  readonly closerScriptpubkey?: Uint8Array;
  readonly variants?: readonly ClosingVariant[];
}

/** The accepter's closing_complete, as it would sign it. */
function complete(pair: Pair, terms: Terms = {}): ClosingComplete {
  const { feeSat = feeAt(700), locktime = 0, closerScriptpubkey = scripts.accepter } = terms;
  const { params, localMsat, remoteMsat } = pair.accepter.channel;
  const { fundingOutpoint, fundingSat, remote, channelId } = params;
  const signatures: { [K in (typeof fields)[ClosingVariant]]?: Uint8Array } = {};
  for (const variant of terms.variants ?? ['closer_and_closee_outputs']) {
    const tx = buildClosingTx({
      closerMsat: localMsat,
      closeeMsat: remoteMsat,
      closerScript: closerScriptpubkey,
      closeeScript: scripts.opener,
      feeSat,
      fundingOutpoint,
      lockTime: locktime,
      variant,
    });
    signatures[fields[variant]] = signClosingTx({
      signer: accepterSigner,
      tx,
      fundingSat,
      remoteFundingPubkey: remote.fundingPubkey,
    });
  }
  return {
    type: 'closing_complete',
    channelId,
    closerScriptpubkey,
    closeeScriptpubkey: scripts.opener,
    feeSat,
    locktime,
    ...signatures,
  };
}

function expectRefused(pair: Pair, message: RegExp): void {
  expect(pair.opener.reports.at(-1)).toMatch(message);
  expect(pair.opener.sent.at(-1)?.type).toBe('warning');
  expect(pair.opener.disconnects).toBe(1);
  expect(pair.opener.published).toEqual([]);
  expect(pair.opener.channel.phase.name).toBe('open');
  expect(pair.opener.sentOf('closing_sig')).toEqual([]);
}

describe('closing_complete', () => {
  test("of the richer side offers to do without the other's output, of the poorer one both outputs", () => {
    const pair = silent();
    const [rich] = pair.opener.sentOf('closing_complete');
    const [poor] = pair.accepter.sentOf('closing_complete');
    expect(rich?.closerOutputOnly).toBeDefined();
    expect(rich?.closerAndCloseeOutputs).toBeDefined();
    expect(rich?.closeeOutputOnly).toBeUndefined();
    expect(poor?.closerOutputOnly).toBeUndefined();
    expect(poor?.closerAndCloseeOutputs).toBeDefined();
    expect(poor?.closeeOutputOnly).toBeUndefined();
    expect(rich?.feeSat).toBe(feeAt(1_000));
  });

  test('of the poorer side leaves its own output out where it would be dust', () => {
    const pair = Pair.open({ simpleClose: true, opener: { pushMsat: 900_000n } });
    pair.close('accepter');
    const [poor] = pair.accepter.sentOf('closing_complete');
    expect(poor?.closeeOutputOnly).toBeDefined();
    expect(poor?.closerAndCloseeOutputs).toBeUndefined();
    expect(pair.opener.closingHex).toHaveLength(2);
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
  });

  test('pays less than it would like where that makes the difference to dust', () => {
    const pair = Pair.open({ simpleClose: true, opener: { fundingSat: 100_000n, pushMsat: 0n } });
    pair.opener.setClosingFeerate(1_000_000);
    pair.close('opener');
    expect(pair.opener.sentOf('closing_complete').map(({ feeSat }) => feeSat)).toEqual([100_000n - 294n]);
    expect(pair.accepter.published.at(-1)?.outputs).toEqual([{ valueSat: 294n, script: scripts.opener }]);
    expect(pair.accepter.sentOf('closing_complete')).toEqual([]);
  });

  test('to an OP_RETURN gives all of the closer to the miners', () => {
    const pair = Pair.open({ simpleClose: true });
    pair.do('accepter', { type: 'close', script: opReturn });
    pair.flush();
    expect(pair.opener.closingHex).toHaveLength(2);
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
    for (const tx of pair.opener.channel.closingTransactions) {
      expect(tx.outputs.find(({ script }) => script.length === opReturn.length)?.valueSat).toBe(0n);
    }
  });

  test('again with a higher fee is signed again', () => {
    const pair = silent();
    for (const feeratePerKw of [700, 1_400, 2_800]) {
      pair.do('opener', {
        type: 'message',
        message: complete(pair, { feeSat: feeAt(feeratePerKw), locktime: 5 }),
      });
    }
    expect(pair.opener.sentOf('closing_sig').map(({ feeSat }) => feeSat)).toEqual([
      feeAt(700),
      feeAt(1_400),
      feeAt(2_800),
    ]);
    expect(pair.opener.channel.closingTransactions).toHaveLength(3);
    expect(pair.opener.published.map(({ lockTime }) => lockTime)).toEqual([5, 5, 5]);
  });

  test('without end is refused at some point', () => {
    const pair = silent();
    for (let i = 0n; i < 101n; i++) {
      pair.do('opener', { type: 'message', message: complete(pair, { feeSat: 1_000n + i }) });
    }
    expect(pair.opener.channel.closingTransactions).toHaveLength(100);
    expect(pair.opener.disconnects).toBe(1);
  });

  test("may change the closer's script, which our own then pays to", () => {
    const pair = silent();
    pair.do('opener', { type: 'message', message: complete(pair, { closerScriptpubkey: p2trOf(7) }) });
    expect(pair.opener.sentOf('closing_sig')).toHaveLength(1);
    expect(pair.opener.stored.shutdown.remoteScript).toEqual(p2trOf(7));
  });

  test('may not change a script that the closer committed to at the opening', () => {
    const pair = silent({ accepter: { upfrontShutdownScript: scripts.accepter } });
    pair.do('opener', { type: 'message', message: complete(pair, { closerScriptpubkey: p2trOf(7) }) });
    expectRefused(pair, /committed to/);
  });

  test.each<[string, Terms | ((message: ClosingComplete) => ClosingComplete), RegExp]>([
    ['a fee above its balance', (message) => ({ ...message, feeSat: 200_001n }), /more than the closer has/],
    [
      'a fee beyond any balance',
      (message) => ({ ...message, feeSat: (1n << 64n) - 1n }),
      /more than the closer has/,
    ],
    [
      'another script for us',
      (message) => ({ ...message, closeeScriptpubkey: p2wpkhOf(1) }),
      /script of our shutdown/,
    ],
    ['a script of no form', { closerScriptpubkey: Uint8Array.of(0x51) }, /allowed forms/],
    ['no signature', { variants: [] }, /lacks the signature/],
    ['only a variant without our output', { variants: ['closer_output_only'] }, /lacks the signature/],
    ['a signature of another fee', (message) => ({ ...message, feeSat: message.feeSat + 1n }), /signature/],
    ['a signature of another locktime', (message) => ({ ...message, locktime: 1 }), /signature/],
    [
      'a signature of another variant',
      ({ closerAndCloseeOutputs, ...message }) => ({
        ...message,
        closeeOutputOnly: closerAndCloseeOutputs as Uint8Array,
      }),
      /signature/,
    ],
    [
      'threat 2: a signature with high S',
      (message) => ({
        ...message,
        closerAndCloseeOutputs: withHighS(message.closerAndCloseeOutputs as Uint8Array),
      }),
      /signature/,
    ],
  ])('with %s is refused', (_, change, message) => {
    const pair = silent();
    const hostile = typeof change === 'function' ? change(complete(pair)) : complete(pair, change);
    pair.do('opener', { type: 'message', message: hostile });
    expectRefused(pair, message);
  });

  test('out of turn is refused', () => {
    const early = Pair.open({ simpleClose: true });
    early.do('opener', { type: 'message', message: complete(early) });
    expectRefused(early, /out of turn/);
    const legacy = Pair.open({ simpleClose: false });
    legacy.tamper = (message) => (message.type === 'closing_signed' ? undefined : message);
    legacy.close('opener');
    legacy.do('opener', { type: 'message', message: complete(legacy) });
    expectRefused(legacy, /out of turn/);
  });

  test('without our output is fine where that is dust', () => {
    const pair = Pair.open({ simpleClose: true, opener: { pushMsat: 200_000n } });
    pair.close('opener');
    const [rich] = pair.opener.sentOf('closing_complete');
    expect(rich?.closerOutputOnly).toBeDefined();
    expect(rich?.closerAndCloseeOutputs).toBeUndefined();
    expect(pair.accepter.sentOf('closing_sig')).toHaveLength(1);
  });
});

describe('closing_sig', () => {
  /** The accepter's closing_sig for the opener's closing_complete, which is held back. */
  function answered(): { pair: Pair; message: ClosingSig } {
    const pair = Pair.open({ simpleClose: true });
    pair.tamper = (message, from) => {
      if (message.type === 'closing_sig') return undefined;
      return message.type === 'closing_complete' && from === 'accepter' ? undefined : message;
    };
    pair.close('opener');
    return { pair, message: pair.accepter.sentOf('closing_sig')[0] as ClosingSig };
  }

  test('completes our transaction, once', () => {
    const { pair, message } = answered();
    expect(pair.opener.published).toEqual([]);
    pair.do('opener', { type: 'message', message });
    expect(pair.opener.closingHex).toEqual(pair.accepter.closingHex);
    expect(pair.opener.channel.phase.name).toBe('closing');
    expect(pair.opener.sentOf('closing_complete')).toHaveLength(1);
    pair.do('opener', { type: 'message', message });
    expect(pair.opener.reports.at(-1)).toMatch(/no closing_complete/);
  });

  test.each<[string, (message: ClosingSig) => ClosingSig, RegExp]>([
    ['another fee', (message) => ({ ...message, feeSat: message.feeSat + 1n }), /does not match/],
    ['another locktime', (message) => ({ ...message, locktime: 1 }), /does not match/],
    ['another closer', (message) => ({ ...message, closerScriptpubkey: p2wpkhOf(1) }), /does not match/],
    ['another closee', (message) => ({ ...message, closeeScriptpubkey: p2wpkhOf(1) }), /does not match/],
    ['no signature', ({ closerAndCloseeOutputs: _, ...message }) => message, /exactly one/],
    [
      'two signatures',
      (message) => ({ ...message, closerOutputOnly: message.closerAndCloseeOutputs as Uint8Array }),
      /exactly one/,
    ],
    [
      'a variant that was not offered',
      ({ closerAndCloseeOutputs, ...message }) => ({
        ...message,
        closeeOutputOnly: closerAndCloseeOutputs as Uint8Array,
      }),
      /not offered/,
    ],
    [
      'the signature of another variant',
      ({ closerAndCloseeOutputs, ...message }) => ({
        ...message,
        closerOutputOnly: closerAndCloseeOutputs as Uint8Array,
      }),
      /signature/,
    ],
    [
      'threat 2: a high S',
      (message) => ({
        ...message,
        closerAndCloseeOutputs: withHighS(message.closerAndCloseeOutputs as Uint8Array),
      }),
      /signature/,
    ],
  ])('with %s is refused', (_, change, reason) => {
    const { pair, message } = answered();
    pair.do('opener', { type: 'message', message: change(message) });
    expectRefused(pair, reason);
  });
});
