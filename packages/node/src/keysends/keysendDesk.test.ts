import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { verifyAudit } from '@rivulet/keysend/compliance';
import {
  createReceiptRequest,
  createSenderProof,
  ReceiptBook,
  senderProofType,
  verifyReceipt,
} from '@rivulet/keysend/proof';
import { afterEach, describe, expect, test } from 'vitest';
import { Pair, until } from '../driver/pair.test.support.js';
import { DeskedNode, keysendTo } from './deskPair.test.support.js';

let pair: Pair;
let desks: DeskedNode[] = [];

afterEach(async () => {
  for (const desk of desks) await desk.stop();
  await pair.stop();
  for (const desk of desks) desk.remove();
  desks = [];
});

/** Two nodes with a channel; bob has a desk. */
async function desked(flags: Readonly<Record<string, string>> = {}): Promise<DeskedNode> {
  pair = await Pair.withChannel();
  const bob = await DeskedNode.of(pair, 'bob', flags);
  desks.push(bob);
  return bob;
}

const boostagram = 7_629_169n;
const boost = (message: string) => utf8ToBytes(JSON.stringify({ action: 'boost', message }));

async function pay(message: string): Promise<string> {
  const { outcome, paymentHash } = keysendTo(pair, { records: new Map([[boostagram, boost(message)]]) });
  expect((await outcome).status).toBe('succeeded');
  return bytesToHex(paymentHash);
}

const received = (bob: DeskedNode) => bob.node.storage.listPayments({ direction: 'incoming' }).payments;

async function stored(bob: DeskedNode, count: number): Promise<string[]> {
  await until(() => bob.stored().length >= count, `${count} payments are stored`);
  return bob.stored().map(({ message = '' }) => message);
}

describe('a keysend that is received', () => {
  test('is in the file of the toolkit with its records and the sender that it proves, and audited', async () => {
    const bob = await desked();
    const { nodeId, payments } = pair.alice.node;
    const preimage = new Uint8Array(32).fill(5);
    const records = new Map([
      [boostagram, boost('grüße')],
      [0xffff_ffffn, Uint8Array.of(1, 2)],
    ]);
    const proof = await createSenderProof(
      {
        paymentHash: bytesToHex(sha256(preimage)),
        recipient: bob.node.nodeId,
        amountMsat: 21_000n,
        records,
        sender: nodeId,
        signedAtMs: Date.now(),
      },
      async (text) => payments.signMessage(text),
    );
    records.set(senderProofType, proof);
    await keysendTo(pair, { records, preimage }).outcome;
    await stored(bob, 1);
    const [first] = bob.stored();
    expect(first).toMatchObject({
      source: `rivulet:${bob.node.nodeId}`,
      paymentHash: bytesToHex(sha256(preimage)),
      amountMsat: 21_000n,
      kind: 'boost',
      message: 'grüße',
      sender: { provenKey: nodeId },
    });
    expect(first?.records).toEqual(records);
    expect(bob.audited()).toMatchObject([
      { type: 'payment_received', data: { counterparty: nodeId, amountMsat: '21000', purpose: 'boost' } },
    ]);
  });

  test('by a policy that changes holds from the next one on; what it refuses leaves no trace but a sum', async () => {
    const bob = await desked();
    await pay('first');
    await bob.service.setKeysendPolicy({ policy: { version: 1, message: { links: 'refuse' } } });
    for (let i = 0; i < 5; i++) await expect(pay('see http://x.example')).rejects.toThrow();
    await pay('second');
    expect(await stored(bob, 2)).toEqual(['first', 'second']);
    bob.timers.advance(60_000);
    expect(bob.audited().map(({ type, data }) => [type, data.rule, data.count])).toEqual([
      ['payment_received', undefined, undefined],
      ['rule_changed', undefined, undefined],
      ['payment_received', undefined, undefined],
      ['payment_refused', 'message_links', 5],
    ]);
    const { statistics } = await bob.service.keysendPolicy({});
    expect(statistics).toMatchObject({ accepted: 2, refused: 5, refusedBy: { message_links: 5 } });
    expect(received(bob)).toHaveLength(2);
  });

  test('and held is in the audit log, as is what becomes of it', async () => {
    const bob = await desked();
    await bob.service.setKeysendPolicy({ policy: { version: 1, hold: { seconds: 600, aboveMsat: '1000' } } });
    const sent = ['take it', 'keep it'].map((message) =>
      keysendTo(pair, { records: new Map([[boostagram, boost(message)]]) }),
    );
    for (const { outcome } of sent) outcome.catch(() => {});
    const hashes = sent.map(({ paymentHash }) => bytesToHex(paymentHash));
    const waiting = () => bob.node.payments.receiver.waitingKeysends();
    await until(() => waiting().length === 2, 'both are held');
    // A restart keeps them, and their places.
    await bob.restart();
    await until(() => waiting().length === 2, 'both are here again');
    await bob.service.decideKeysend({ paymentHash: hashes[0] ?? '', accept: true });
    await bob.service.decideKeysend({ paymentHash: hashes[1] ?? '', accept: false });
    expect(await stored(bob, 1)).toEqual(['take it']);
    const kinds = () => bob.audited().filter(({ type }) => /held|released|refused/.test(type));
    await until(() => kinds().length === 4, 'all is logged');
    expect(kinds().map(({ type, actor, data }) => [type, actor, data.paymentHash])).toEqual([
      ['payment_held', 'policy', hashes[0]],
      ['payment_held', 'policy', hashes[1]],
      ['payment_released', 'user', hashes[0]],
      ['payment_refused', 'user', hashes[1]],
    ]);
  });
});

describe('a file of the toolkit that fails', () => {
  test('stops no payment, and has them all once it can be written again', async () => {
    const bob = await desked();
    await pay('before');
    await stored(bob, 1);
    bob.file.fails = 'writing';
    for (const message of ['1', '2', '3']) await pay(message);
    expect(received(bob)).toHaveLength(4);
    expect(bob.stored()).toHaveLength(1);
    bob.file.fails = 'no';
    bob.timers.advance(60_000);
    expect(await stored(bob, 4)).toEqual(['before', '1', '2', '3']);
    await pay('after');
    expect(await stored(bob, 5)).toEqual(['before', '1', '2', '3', 'after']);
    bob.read(({ store }) => expect(verifyAudit(store).status).toBe('intact'));
    expect(bob.audited()).toHaveLength(5);
  });

  test('whose disk failed is opened again, and the policy holds meanwhile', async () => {
    const bob = await desked();
    await bob.service.setKeysendPolicy({ policy: { version: 1, minimumMsat: '5000' } });
    bob.file.die();
    await pay('while it was away');
    await expect(keysendTo(pair, { amountMsat: 1_000n }).outcome).rejects.toThrow();
    expect(received(bob)).toHaveLength(1);
    await until(() => {
      bob.timers.advance(60_000);
      return bob.stored().length === 1;
    }, 'it is stored');
    await expect(keysendTo(pair, { amountMsat: 1_000n }).outcome).rejects.toThrow();
    await pay('after');
    expect(await stored(bob, 2)).toEqual(['while it was away', 'after']);
    expect((await bob.service.keysendPolicy({})).policy).toEqual({ version: 1, minimumMsat: '5000' });
  });

  test('that cannot be opened keeps nobody from starting; what the owner allows is not known until it can', async () => {
    const bob = await desked({ 'address.enabled': 'true', 'address.port': '0', 'address.names': 'bob' });
    await pay('before');
    await stored(bob, 1);
    await bob.desk.stop();
    await bob.node.stop();
    bob.file.fails = 'opening';
    await bob.start();
    await expect(pay('too early')).rejects.toThrow();
    const url = `http://127.0.0.1:${bob.desk.publicPort}`;
    expect((await fetch(`${url}/.well-known/keysend/bob`)).status).toBe(200);
    const receipt = `${url}/receipts/${'ab'.repeat(32)}?nonce=${'cd'.repeat(16)}`;
    expect((await fetch(receipt)).status).toBe(503);
    await expect(bob.service.setKeysendPolicy({ policy: { version: 1 } })).rejects.toMatchObject({
      code: 'not_supported',
    });
    bob.file.fails = 'no';
    bob.timers.advance(60_000);
    await until(() => bob.file.opened?.database.isOpen === true, 'it is open');
    await pay('after');
    expect(await stored(bob, 2)).toEqual(['before', 'after']);
    expect((await fetch(receipt)).status).toBe(404);
  });

  test('at the end does not keep the daemon from ending', async () => {
    const bob = await desked();
    await pay('one');
    bob.file.fails = 'writing';
    await Promise.all([bob.desk.stop(), bob.desk.stop()]);
    expect(bob.file.opened?.database.isOpen).toBe(false);
    // What comes when the desk is gone is in the node's list, and so in the next one's.
    await pay('two');
    bob.file.fails = 'no';
    await bob.restart();
    expect(await stored(bob, 2)).toEqual(['one', 'two']);
  });
});

describe('receipts', () => {
  const nonce = '5e'.repeat(16);

  /** Alice pays and wants a receipt back by keysend. */
  async function ask(alice: DeskedNode, amountMsat = 50_000n): Promise<string> {
    const preimage = sha256(utf8ToBytes(`${amountMsat}`));
    const records = new Map([[boostagram, boost('x')]]);
    records.set(senderProofType, createReceiptRequest(records, { nonce, replyTo: alice.node.nodeId }));
    const paymentHash = bytesToHex(sha256(preimage));
    const recipient = pair.bob.node.nodeId;
    alice.read(({ store }) => {
      const book = new ReceiptBook({ store, now: Date.now });
      store.transaction((tx) => book.ask(tx, { paymentHash, recipient, amountMsat, records }));
    });
    await keysendTo(pair, { amountMsat, records, preimage }).outcome;
    return paymentHash;
  }

  const receiptOf = (alice: DeskedNode, paymentHash: string) =>
    alice.read(({ store }) => new ReceiptBook({ store, now: Date.now }).get(paymentHash));

  test('that are asked for come back by keysend, and are taken', async () => {
    const bob = await desked();
    const alice = await DeskedNode.of(pair, 'alice');
    desks.push(alice);
    const paymentHash = await ask(alice);
    await until(() => receiptOf(alice, paymentHash) !== undefined, 'the receipt is there');
    const expected = { recipient: bob.node.nodeId, amountMsat: 50_000n, nonce };
    expect(verifyReceipt(receiptOf(alice, paymentHash), { expected }).status).toBe('valid');
    const types = (of: DeskedNode) => of.audited().map(({ type }) => type);
    await until(() => types(bob).includes('payment_succeeded'), 'its payment is over');
    expect(types(bob)).toEqual(expect.arrayContaining(['receipt_issued', 'receipt_returned']));
    expect(types(alice)).toContain('receipt_accepted');
  });

  test('are made once the disk has room again, each once, also after a restart', async () => {
    const bob = await desked();
    const alice = await DeskedNode.of(pair, 'alice');
    desks.push(alice);
    const first = await ask(alice);
    await until(() => receiptOf(alice, first) !== undefined, 'the first receipt is there');
    bob.file.fails = 'writing';
    const second = await ask(alice, 60_000n);
    await until(() => bob.timers.pending > 0, 'it is tried again later');
    expect(receiptOf(alice, second)).toBeUndefined();
    bob.file.fails = 'no';
    await until(() => {
      bob.timers.advance(10_000);
      return receiptOf(alice, second) !== undefined;
    }, 'the second receipt is there');
    await bob.restart();
    const third = await ask(alice, 70_000n);
    await until(() => receiptOf(alice, third) !== undefined, 'the third receipt is there');
    // Two of 1 sat went back after the first, and no more.
    const back = pair.alice.node.storage.listPayments({ direction: 'incoming' }).payments;
    expect(back.map(({ amountMsat }) => amountMsat)).toEqual([1_000n, 1_000n, 1_000n]);
  });
});
