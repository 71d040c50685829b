import { describe, expect, test } from 'vitest';
import { nodeIdOf } from './ledger.test.support.js';
import type { Leg } from './leg.js';
import { decodeLeg, encodeLeg, planContent } from './legCodec.js';

const whole: Leg = {
  key: 'boost:1:0',
  group: 'boost:1',
  recipient: { name: 'é', type: 'node', address: nodeIdOf(1), customKey: '696969', customValue: 'x' },
  amountMsat: 12_345n,
  records: new Map([
    [7_629_169n, Uint8Array.of(1, 255)],
    [0xffff_ffff_ffff_ffffn, new Uint8Array()],
  ]),
  maxFeeMsat: 7n,
  budgets: ['b'],
  scope: 'episode',
  comment: 'hi',
  note: 'n',
  actor: 'rule:r',
  state: 'unknown',
  sequence: 5,
  plannedAtMs: 1,
  changedAtMs: 2,
  attempts: 3,
  retryAtMs: 4,
  startedAtMs: 5,
  sentAtMs: 6,
  destination: {
    type: 'keysend',
    nodeId: nodeIdOf(1),
    records: new Map([[696_969n, Uint8Array.of(9)]]),
    hints: [
      [
        {
          nodeId: new Uint8Array(33).fill(2),
          shortChannelId: 1n << 63n,
          feeBaseMsat: 1,
          feeProportionalMillionths: 2,
          cltvExpiryDelta: 3,
          htlcMinimumMsat: 4n,
        },
      ],
    ],
  },
  invoice: { invoice: 'lnbc1', paymentHash: 'ab', expiresAtMs: 9 },
  paymentHash: 'cd',
  preimage: 'ef',
  feeMsat: 8n,
  failure: { code: 'fee_limit', message: 'm', neededFeeMsat: 10n },
  heldFor: 'h',
  approvedBy: 'a',
  owner: 'o',
  walletId: 'lnd:02',
  witness: { key: 'w', paymentHash: '01' },
  uncertainUntilMs: 11,
};

describe('a stored payment', () => {
  test('comes back as it was', () => {
    expect(decodeLeg(encodeLeg(whole))).toEqual(whole);
    const lnurl: Leg = {
      ...whole,
      destination: {
        type: 'lnurl',
        callback: 'https://x',
        minMsat: 1n,
        maxMsat: 2n,
        commentLength: 3,
        metadata: '[]',
      },
    };
    expect(decodeLeg(encodeLeg(lnurl))).toEqual(lnurl);
  });

  test('of version 1 is read for ever, and one of a newer version is refused', () => {
    const text =
      '{"v":1,"key":"k","content":{"group":"g","recipient":{"type":"lnaddress","address":"a@b.c"},"amountMsat":"5","records":{"65537":"00ff"},"budgets":[]},"state":"planned","sequence":1,"plannedAtMs":2,"changedAtMs":3,"attempts":0}';
    expect(decodeLeg(text)).toEqual({
      key: 'k',
      group: 'g',
      recipient: { type: 'lnaddress', address: 'a@b.c' },
      amountMsat: 5n,
      records: new Map([[65_537n, Uint8Array.of(0, 255)]]),
      budgets: [],
      state: 'planned',
      sequence: 1,
      plannedAtMs: 2,
      changedAtMs: 3,
      attempts: 0,
    });
    expect(() => decodeLeg(text.replace('"v":1', '"v":2'))).toThrow(/newer version/);
  });

  test('means the same whatever the order of its records, and something else with anything else', () => {
    const turned = { ...whole, records: new Map([...whole.records].reverse()) };
    expect(planContent(turned)).toBe(planContent(whole));
    expect(planContent({ ...whole, note: 'other', actor: 'other' })).toBe(planContent(whole));
    for (const change of [
      { amountMsat: 1n },
      { group: 'other' },
      { recipient: { type: 'node' as const, address: nodeIdOf(2) } },
      { records: new Map() },
      { maxFeeMsat: 8n },
      { budgets: [] },
      { comment: 'other' },
      { scope: 'other' },
    ]) {
      expect(planContent({ ...whole, ...change })).not.toBe(planContent(whole));
    }
  });
});
