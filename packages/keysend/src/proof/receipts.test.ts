import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { describe, expect, test } from 'vitest';
import type { LegPlan } from '../ledger/leg.js';
import { memoryStore } from '../store/memoryStore.js';
import type { ReceivedPayment } from '../wallets/wallet.js';
import { signAsNode } from './nodeSignature.js';
import { senderProofType } from './proofRecord.js';
import { encodeReceiptRecord, receiptRecordType, verifyReceipt } from './receipt.js';
import { receiptAnswer } from './receiptAnswer.js';
import { ReceiptBook } from './receiptBook.js';
import { ReceiptIssuer } from './receiptIssuer.js';
import { ReceiptReturner, type ReturnLimits } from './receiptReturner.js';
import { createReceiptRequest, createSenderProof } from './senderProof.js';

const payerKey = new Uint8Array(32).fill(7);
const payer = bytesToHex(secp256k1.publicKey(payerKey));
const payeeKey = new Uint8Array(32).fill(8);
const payee = bytesToHex(secp256k1.publicKey(payeeKey));
const nonce = '0f'.repeat(16);
const hourMs = 3_600_000;

/** A keysend as it arrives: its n-th, with a wish for a receipt. */
async function arriving(
  n: number,
  given: { amountMsat?: bigint; replyTo?: string; signed?: boolean; wish?: boolean } = {},
) {
  const { amountMsat = 50_000n, replyTo, signed = true, wish = true } = given;
  const paymentHash = bytesToHex(sha256(new Uint8Array(32).fill(n)));
  const records = new Map([[7_629_169n, utf8ToBytes(`{"n":${n}}`)]]);
  const receipt = { nonce, ...(replyTo === undefined ? {} : { replyTo }) };
  const value = signed
    ? await createSenderProof(
        {
          paymentHash,
          recipient: payee,
          amountMsat,
          records,
          sender: payer,
          signedAtMs: 1,
          ...(wish ? { receipt } : {}),
        },
        async (text) => signAsNode(text, payerKey),
      )
    : createReceiptRequest(records, receipt);
  if (wish || signed) records.set(senderProofType, value);
  const payment: ReceivedPayment = {
    paymentHash,
    amountMsat,
    receivedAtMs: 1_000 + n,
    records,
    cursor: `${n}`,
  };
  return payment;
}

function issuing(given: { sign?: (text: string) => Promise<string> } = {}) {
  const store = memoryStore();
  let signatures = 0;
  const sign = async (text: string) => {
    signatures++;
    return signAsNode(text, payeeKey);
  };
  const issuer = new ReceiptIssuer({ store, recipient: payee, sign, now: () => 5, ...given });
  return { store, issuer, signatures: () => signatures };
}

describe('issuing receipts', () => {
  test('of a payment that asks for one: the same one each time, signed once', async () => {
    const { issuer, signatures } = issuing();
    const payment = await arriving(1);
    const receipt = await issuer.issue(payment);
    expect(
      verifyReceipt(receipt, {
        expected: {
          paymentHash: payment.paymentHash,
          amountMsat: 50_000n,
          recipient: payee,
          nonce,
          sender: payer,
        },
      }).status,
    ).toBe('valid');
    expect(await issuer.issue(payment, { nonce })).toEqual(receipt);
    expect(issuer.get(payment.paymentHash)).toEqual(receipt);
    expect(signatures()).toBe(1);
  });

  test('twice at once makes one', async () => {
    const { issuer, store } = issuing();
    const payment = await arriving(1);
    const [first, second] = await Promise.all([issuer.issue(payment), issuer.issue(payment)]);
    expect(second).toEqual(first);
    expect(store.list({ prefix: 'receipt/' })).toHaveLength(1);
  });

  test('not to whoever knows the hash alone', async () => {
    const { issuer, signatures } = issuing();
    const payment = await arriving(1);
    await expect(issuer.issue(payment, { nonce: '00'.repeat(16) })).rejects.toMatchObject({
      code: 'receipt_invalid',
    });
    expect(signatures()).toBe(0);
    await issuer.issue(payment);
    await expect(issuer.issue(payment, { nonce: '00'.repeat(16) })).rejects.toMatchObject({
      code: 'receipt_invalid',
    });
  });

  test('of a payment that asks for none, only when the owner wants it', async () => {
    const { issuer } = issuing();
    const payment = await arriving(1, { wish: false });
    await expect(issuer.issue(payment, { nonce })).rejects.toThrow(/asks for no receipt/);
    await expect(issuer.issue(payment, { unasked: true })).rejects.toThrow(/give one/);
    const receipt = await issuer.issue(payment, { nonce, unasked: true });
    expect(verifyReceipt(receipt).status).toBe('valid');
    expect(receipt.sender).toBeUndefined();
  });

  test('names no sender that proved nothing', async () => {
    const { issuer } = issuing();
    expect((await issuer.issue(await arriving(1, { signed: false }))).sender).toBeUndefined();
    const forged = await arriving(2);
    await expect(issuer.issue({ ...forged, amountMsat: 1n })).rejects.toMatchObject({
      code: 'receipt_invalid',
    });
  });

  test('not with a wallet that signs as another node', async () => {
    const { issuer, store } = issuing({ sign: async (text) => signAsNode(text, payerKey) });
    await expect(issuer.issue(await arriving(1))).rejects.toMatchObject({ code: 'signature_invalid' });
    expect(store.list({ prefix: '' })).toEqual([]);
  });
});

describe('receipts over HTTP', () => {
  test('are given to who has the nonce', async () => {
    const { issuer } = issuing();
    const payment = await arriving(1);
    const find = (hash: string) => (hash === payment.paymentHash ? payment : undefined);
    const get = (url: string, method = 'GET') => receiptAnswer({ method, url }, { issuer, find });
    const answer = await get(`/receipts/${payment.paymentHash}?nonce=${nonce}`);
    expect(answer.status).toBe(200);
    expect(answer.headers['access-control-allow-origin']).toBe('*');
    expect(verifyReceipt(JSON.parse(answer.body)).status).toBe('valid');
    const refused = [
      await get(`/receipts/${payment.paymentHash}?nonce=${'00'.repeat(16)}`),
      await get(`/receipts/${'00'.repeat(32)}?nonce=${nonce}`),
    ];
    expect(refused[0]!.status).toBe(404);
    expect(refused[1]).toEqual(refused[0]);
    expect((await get(`/receipts/${payment.paymentHash}`)).status).toBe(400);
    expect((await get('/receipts/..%2f?nonce=')).status).toBe(400);
    expect((await get(`/${payment.paymentHash}?nonce=${nonce}`, 'POST')).status).toBe(405);
    expect((await get('/x', 'OPTIONS')).status).toBe(204);
  });
});

function booked(payment: ReceivedPayment) {
  const store = memoryStore();
  const book = new ReceiptBook({ store, now: () => 9 });
  store.transaction((tx) => book.ask(tx, { ...payment, recipient: payee }));
  return { store, book };
}

describe('receipts that arrive', () => {
  test('by keysend are recognised, and stored once', async () => {
    const payment = await arriving(1);
    const { book } = booked(payment);
    const receipt = await issuing().issuer.issue(payment);
    const returned = { records: new Map([[receiptRecordType, encodeReceiptRecord(receipt)]]) };
    expect(book.acceptPayment(returned)).toEqual({ status: 'stored', receipt });
    expect(book.acceptPayment(returned)).toEqual({ status: 'known', receipt });
    expect(book.accept(receipt)).toEqual({ status: 'known', receipt });
    expect(book.get(payment.paymentHash)).toEqual(receipt);
    expect(book.list()).toEqual([receipt]);
    expect(book.list({ after: payment.paymentHash })).toEqual([]);
    expect(book.acceptPayment({ records: new Map() })).toBeUndefined();
  });

  test('for payments that we never made are refused', async () => {
    const { book } = booked(await arriving(1));
    const foreign = await issuing().issuer.issue(await arriving(2));
    expect(book.accept(foreign)).toEqual({ status: 'refused', reason: 'payment_unknown' });
    const records = new Map([[receiptRecordType, encodeReceiptRecord(foreign)]]);
    expect(book.acceptPayment({ records })).toEqual({ status: 'refused', reason: 'payment_unknown' });
  });

  test('that another node signed, or of another amount, or of an unnamed sender, are refused', async () => {
    const payment = await arriving(1);
    const { book, store } = booked(payment);
    const options = { store: memoryStore(), now: () => 1 };
    const other = new ReceiptIssuer({
      ...options,
      recipient: payer,
      sign: async (text) => signAsNode(text, payerKey),
    });
    const wrong = await other.issue({ ...payment, records: new Map() }, { nonce, unasked: true });
    expect(book.accept(wrong)).toEqual({ status: 'refused', reason: 'other_recipient' });
    const { issuer } = issuing();
    const bare = {
      ...payment,
      records: new Map([...payment.records].filter(([type]) => type !== senderProofType)),
    };
    expect(book.accept(await issuer.issue(bare, { nonce, unasked: true }))).toMatchObject({
      reason: 'other_sender',
    });
    const less = await issuing().issuer.issue({ ...bare, amountMsat: 1n }, { nonce, unasked: true });
    expect(book.accept(less)).toEqual({ status: 'refused', reason: 'other_amount' });
    const noise = new Map([[receiptRecordType, new Uint8Array(50)]]);
    expect(book.acceptPayment({ records: noise })).toEqual({ status: 'refused', reason: 'malformed' });
    expect(store.list({ prefix: 'receipt/got/' })).toEqual([]);
  });

  test('over HTTP are asked for with the nonce, and checked', async () => {
    const payment = await arriving(1);
    const { book } = booked(payment);
    const { issuer } = issuing();
    const urls: string[] = [];
    const fetcher = async (url: string) => {
      urls.push(url);
      const { status, body } = await receiptAnswer({ method: 'GET', url }, { issuer, find: () => payment });
      return { status, url, contentType: 'application/json', body: utf8ToBytes(body) };
    };
    const given = { url: 'https://host.example/receipts/', fetcher };
    expect((await book.fetch(payment.paymentHash, given)).status).toBe('stored');
    expect(urls).toEqual([`https://host.example/receipts/${payment.paymentHash}?nonce=${nonce}`]);
    await expect(book.fetch('00'.repeat(32), given)).rejects.toMatchObject({ code: 'not_found' });
    const gone = async (url: string) => ({ status: 404, url, contentType: '', body: new Uint8Array() });
    await expect(book.fetch(payment.paymentHash, { ...given, fetcher: gone })).rejects.toThrow(/status 404/);
  });

  test('are expected only of payments that ask for one', async () => {
    const payment = await arriving(1, { wish: false });
    expect(() => booked(payment)).toThrow(/ask for no receipt/);
  });
});

function returning(given: { limits?: ReturnLimits; pay?: (leg: LegPlan) => Promise<unknown> } = {}) {
  const { store, issuer } = issuing();
  const legs: LegPlan[] = [];
  const clock = { nowMs: 0 };
  const pay = async (leg: LegPlan) => legs.push(leg);
  const returner = () =>
    new ReceiptReturner({ store, issuer, recipient: payee, pay, now: () => clock.nowMs, ...given });
  return { legs, clock, returner, store };
}

describe('sending receipts back', () => {
  test('makes one leg, which the payer understands', async () => {
    const { legs, returner } = returning();
    const payment = await arriving(1, { replyTo: payer });
    expect(await returner().handle(payment)).toBe('returned');
    expect(await returner().handle(payment)).toBe('already');
    expect(legs).toMatchObject([
      {
        key: `receipt/${payment.paymentHash}`,
        amountMsat: 1_000n,
        recipient: { type: 'node', address: payer },
      },
    ]);
    expect(booked(payment).book.acceptPayment(legs[0]!)?.status).toBe('stored');
  });

  test('goes on after a crash before the leg was planned, and counts it once', async () => {
    let broken = true;
    const planned: string[] = [];
    const pay = async ({ key }: LegPlan) => {
      if (broken) throw new Error('crash');
      planned.push(key);
    };
    const { returner } = returning({ pay, limits: { perHour: 1 } });
    const payment = await arriving(1, { replyTo: payer });
    await expect(returner().handle(payment)).rejects.toThrow('crash');
    broken = false;
    expect(await returner().handle(payment)).toBe('returned');
    expect(planned).toEqual([`receipt/${payment.paymentHash}`]);
  });

  test('only where it is asked for, by keysend, and not for a receipt', async () => {
    const { legs, returner } = returning();
    expect(await returner().handle(await arriving(1))).toBe('not_asked');
    expect(await returner().handle(await arriving(3, { wish: false }))).toBe('not_asked');
    expect(await returner().handle(await arriving(4, { replyTo: payee }))).toBe('not_asked');
    const receipt = await arriving(5, { replyTo: payer });
    const records = new Map([...receipt.records, [receiptRecordType, new Uint8Array(114)]]);
    expect(await returner().handle({ ...receipt, records })).toBe('not_asked');
    expect(legs).toEqual([]);
  });

  test('a flood of dust makes us pay nothing, and a flood of payments no more than the limits', async () => {
    const { legs, returner, clock } = returning({
      limits: { perHourAndNode: 2, perHour: 3, perDayMsat: 8_000n },
    });
    expect(await returner().handle(await arriving(0, { replyTo: payer, amountMsat: 9_999n }))).toBe(
      'too_small',
    );
    const outcomes: string[] = [];
    const other = bytesToHex(secp256k1.publicKey(new Uint8Array(32).fill(9)));
    for (const [n, replyTo] of [payer, payer, payer, other, other, other].entries()) {
      outcomes.push(await returner().handle(await arriving(10 + n, { replyTo })));
    }
    expect(outcomes).toEqual(['returned', 'returned', 'over_limit', 'returned', 'over_limit', 'over_limit']);
    clock.nowMs += hourMs;
    expect(await returner().handle(await arriving(20, { replyTo: payer }))).toBe('returned');
    expect(await returner().handle(await arriving(21, { replyTo: payer }))).toBe('over_limit');
    clock.nowMs += 24 * hourMs;
    expect(await returner().handle(await arriving(21, { replyTo: payer }))).toBe('returned');
    expect(legs).toHaveLength(5);
  });

  test('cannot be set up so that a receipt costs more than it was asked with', () => {
    expect(() => returning({ limits: { minPaymentMsat: 1_999n } }).returner()).toThrow(
      /at least the amount and the fee/,
    );
  });
});
