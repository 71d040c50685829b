import { describe, expect, test } from 'vitest';
import { sha256 } from '../../crypto/index.js';
import type { FinalPayload, HopPayload } from '../../onion/index.js';
import { keysendRecordType } from '../keysend.js';
import { type FinalInput, judgeFinal, type KnownInvoice, type RefusalCause } from './judgeFinal.js';

const preimage = new Uint8Array(32).fill(0x44);
const paymentHash = sha256(preimage);
const paymentSecret = new Uint8Array(32).fill(0x55);
const otherSecret = new Uint8Array(32).fill(0x56);
const blockHeight = 800_000;
const cltvExpiry = blockHeight + 40;
const amountMsat = 10_000n;
const nowMs = 1_700_000_000_000;

const open: KnownInvoice = {
  paymentHash,
  paymentSecret,
  amountMsat,
  expiresAtMs: nowMs,
  minFinalCltvDelta: 30,
  preimage,
  state: 'open',
};

interface Changes {
  readonly htlc?: Partial<FinalInput['htlc']>;
  readonly payload?: Partial<HopPayload>;
  readonly policy?: Partial<FinalInput['policy']>;
  readonly rest?: Partial<Pick<FinalInput, 'blockHeight' | 'nowMs' | 'isSeen'>>;
}

function judge(invoice: KnownInvoice | undefined, { htlc, payload, policy, rest }: Changes = {}) {
  const all: FinalPayload = {
    amountToForwardMsat: amountMsat,
    outgoingCltvValue: cltvExpiry,
    customRecords: new Map(),
    ...payload,
  };
  return judgeFinal({
    htlc: { amountMsat, paymentHash, cltvExpiry, ...htlc },
    payload: all,
    invoice,
    policy: { acceptKeysend: true, minAmountMsat: 1n, ...policy },
    blockHeight,
    nowMs,
    isSeen: () => false,
    ...rest,
  });
}

const data = (totalMsat: bigint, secret = paymentSecret): Partial<HopPayload> => ({
  paymentData: { paymentSecret: secret, totalMsat },
});
const toInvoice = (changes: Partial<KnownInvoice> = {}, more: Changes = {}) =>
  judge({ ...open, ...changes }, { ...more, payload: { ...data(amountMsat), ...more.payload } });
const keysend = (changes: Changes = {}) =>
  judge(undefined, {
    ...changes,
    payload: { customRecords: new Map([[keysendRecordType, preimage]]), ...changes.payload },
  });

describe('a payment of an invoice', () => {
  test('is a part of its set', () => {
    const record = Uint8Array.of(1);
    const customRecords = new Map([
      [keysendRecordType, preimage],
      [70_001n, record],
    ]);
    expect(toInvoice({}, { htlc: { amountMsat: amountMsat + 7n }, payload: { customRecords } })).toEqual({
      type: 'part',
      set: {
        key: expect.stringMatching(/^[0-9a-f]{64}$/),
        paymentHash,
        kind: 'invoice',
        totalMsat: amountMsat,
        intendedMsat: amountMsat,
        amountMsat: amountMsat + 7n,
        cltvExpiry,
        preimage,
        customRecords: new Map([[70_001n, record]]),
      },
    });
  });

  test('of less than all is one too: its total counts', () => {
    expect(toInvoice({}, { htlc: { amountMsat: 1n }, payload: { amountToForwardMsat: 1n } }).type).toBe(
      'part',
    );
  });

  test('gives no preimage for a hold invoice', () => {
    const judged = toInvoice({ preimage: undefined });
    expect(judged.type === 'part' && 'preimage' in judged.set).toBe(false);
  });

  test('of up to twice the amount is taken, and of any amount where none is asked for', () => {
    expect(toInvoice({}, { payload: data(2n * amountMsat) }).type).toBe('part');
    expect(toInvoice({ amountMsat: undefined }, { payload: data(1n) }).type).toBe('part');
    expect(toInvoice({ amountMsat: undefined }, { payload: data(1n << 62n) }).type).toBe('part');
  });

  test('is not refused because of keysend settings or because its hash was seen', () => {
    const policy = { acceptKeysend: false, minAmountMsat: 1n << 60n };
    expect(toInvoice({}, { policy, rest: { isSeen: () => true } }).type).toBe('part');
  });

  test('that is held is still one after a restart: when it came it was in time', () => {
    const late = { rest: { nowMs: nowMs + 1, blockHeight: cltvExpiry - 5 } };
    expect(toInvoice({ state: 'held', preimage: undefined }, late).type).toBe('part');
  });

  const refused: [string, RefusalCause, () => ReturnType<typeof judge>][] = [
    ['without a payment secret', 'payment_secret_missing', () => judge(open)],
    [
      'without one, though it holds the preimage',
      'payment_secret_missing',
      () => judge(open, { payload: { customRecords: new Map([[keysendRecordType, preimage]]) } }),
    ],
    [
      'with another secret',
      'payment_secret_mismatch',
      () => judge(open, { payload: data(amountMsat, otherSecret) }),
    ],
    ['of another hash', 'no_keysend_record', () => toInvoice({ paymentHash: sha256(otherSecret) })],
    [
      'whose preimage is not that of the hash',
      'preimage_mismatch',
      () => toInvoice({ preimage: otherSecret }),
    ],
    ['that was paid', 'invoice_settled', () => toInvoice({ state: 'settled' })],
    ['that was cancelled', 'invoice_cancelled', () => toInvoice({ state: 'cancelled' })],
    ['that expired', 'invoice_expired', () => toInvoice({}, { rest: { nowMs: nowMs + 1 } })],
    ['of less', 'amount_too_small', () => toInvoice({}, { payload: data(amountMsat - 1n) })],
    ['of nothing', 'amount_too_small', () => toInvoice({ amountMsat: undefined }, { payload: data(0n) })],
    ['of more than twice', 'amount_too_large', () => toInvoice({}, { payload: data(2n * amountMsat + 1n) })],
    [
      'that expires too soon',
      'expiry_too_soon',
      () => toInvoice({}, { rest: { blockHeight: cltvExpiry - 29 } }),
    ],
    [
      'that expires too soon to claim it, whatever the invoice asked for',
      'expiry_too_soon',
      () => toInvoice({ minFinalCltvDelta: 1 }, { rest: { blockHeight: cltvExpiry - 18 } }),
    ],
    [
      'that is dust beyond the limit',
      'dust_exposure',
      () => toInvoice({}, { htlc: { mustFail: 'dust_exposure' } }),
    ],
  ];
  test.each(refused)('is refused %s, with the one answer for every cause', (_, cause, run) => {
    expect(run()).toEqual({
      type: 'refuse',
      cause,
      failure: {
        type: 'incorrect_or_unknown_payment_details',
        htlcMsat: amountMsat,
        height: expect.any(Number),
      },
    });
  });

  test('with as many blocks left as were asked for is taken', () => {
    expect(toInvoice({}, { rest: { blockHeight: cltvExpiry - 30 } }).type).toBe('part');
    expect(toInvoice({ minFinalCltvDelta: 1 }, { rest: { blockHeight: cltvExpiry - 19 } }).type).toBe('part');
  });

  test('threat 3: is refused where the HTLC is not what its sender made', () => {
    expect(toInvoice({}, { htlc: { amountMsat: amountMsat - 1n } })).toMatchObject({
      cause: 'amount_incorrect',
      failure: { type: 'final_incorrect_htlc_amount', incomingHtlcMsat: amountMsat - 1n },
    });
    expect(toInvoice({}, { htlc: { cltvExpiry: cltvExpiry - 1 } })).toMatchObject({
      cause: 'expiry_incorrect',
      failure: { type: 'final_incorrect_cltv_expiry', cltvExpiry: cltvExpiry - 1 },
    });
  });
});

describe('a keysend', () => {
  test('is complete by itself without payment_data', () => {
    expect(keysend()).toMatchObject({
      type: 'part',
      set: { kind: 'keysend', preimage, totalMsat: amountMsat, intendedMsat: amountMsat },
    });
  });

  test('comes with payment_data too', () => {
    expect(keysend({ payload: data(amountMsat) })).toMatchObject({
      type: 'part',
      set: { totalMsat: amountMsat },
    });
  });

  test('in parts is taken where parts are allowed', () => {
    const payload = { ...data(3n * amountMsat) };
    const judged = keysend({ payload, policy: { acceptKeysendParts: true } });
    expect(judged).toMatchObject({
      type: 'part',
      set: { totalMsat: 3n * amountMsat, intendedMsat: amountMsat, preimage },
    });
    expect(keysend({ payload })).toMatchObject({ type: 'refuse', cause: 'partial_payment' });
  });

  test('threat 27: in parts meets every rule of a keysend', () => {
    const parts = (changes: Changes) =>
      keysend({
        ...changes,
        payload: { ...data(3n * amountMsat), ...changes.payload },
        policy: { acceptKeysendParts: true, ...changes.policy },
      });
    const withRecord = (value: Uint8Array) => ({ customRecords: new Map([[keysendRecordType, value]]) });
    const cases: [RefusalCause, Changes][] = [
      ['keysend_disabled', { policy: { acceptKeysend: false } }],
      ['no_keysend_record', { payload: { customRecords: new Map() } }],
      ['preimage_length', { payload: withRecord(preimage.slice(1)) }],
      ['preimage_mismatch', { payload: withRecord(otherSecret) }],
      ['dust_exposure', { htlc: { mustFail: 'dust_exposure' } }],
      ['amount_below_minimum', { policy: { minAmountMsat: 3n * amountMsat + 1n } }],
      ['expiry_too_soon', { rest: { blockHeight: cltvExpiry - 18 } }],
      ['hash_seen_before', { rest: { isSeen: () => true } }],
    ];
    for (const [cause, changes] of cases) expect(parts(changes)).toMatchObject({ type: 'refuse', cause });
    expect(parts({ policy: { minAmountMsat: 3n * amountMsat } }).type).toBe('part');
  });

  test('has a set of its own for each payment secret', () => {
    const keyOf = (judged: ReturnType<typeof judge>) => (judged.type === 'part' ? judged.set.key : 'refused');
    const keys = [
      keysend(),
      keysend({ payload: data(amountMsat) }),
      keysend({ payload: data(amountMsat, otherSecret) }),
    ].map(keyOf);
    expect(new Set(keys).size).toBe(3);
    expect(keyOf(keysend({ payload: data(1n) }))).toBe(keys[1]);
  });
});
