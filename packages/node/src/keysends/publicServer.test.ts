import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bytesToHex } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import { memoryStore, type ReceivedPayment } from '@rivulet/keysend';
import {
  createReceiptRequest,
  ReceiptIssuer,
  senderProofType,
  signAsNode,
  verifyReceipt,
} from '@rivulet/keysend/proof';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../logging/index.js';
import { type PublicServer, startPublicServer } from './publicServer.js';

const key = new Uint8Array(32).fill(7);
const nodeId = bytesToHex(secp256k1.publicKey(key));
const nonce = '5e'.repeat(16);
const payment: ReceivedPayment = {
  paymentHash: 'ab'.repeat(32),
  amountMsat: 50_000n,
  receivedAtMs: 1_800_000_000_000,
  records: new Map([[senderProofType, createReceiptRequest(new Map(), { nonce })]]),
  cursor: '1',
};

let server: PublicServer;
let issuer: ReceiptIssuer | undefined;
let fault: Error | undefined;

beforeEach(async () => {
  fault = undefined;
  const now = () => 1_800_000_000_000;
  const sign = async (text: string) => signAsNode(text, key);
  issuer = new ReceiptIssuer({ store: memoryStore(), recipient: nodeId, sign, now });
  server = await startPublicServer({
    host: '127.0.0.1',
    port: 0,
    accountOf: async (name) => {
      if (fault !== undefined) throw fault;
      return name === 'carol' ? { nodeId } : undefined;
    },
    issuer: () => issuer,
    findPayment: (paymentHash) => (paymentHash === payment.paymentHash ? payment : undefined),
    now,
    logger: silentLogger,
  });
});

afterEach(() => server.close());

const ask = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${server.port}${path}`, init);
const address = '/.well-known/keysend/carol';

describe('strangers', () => {
  test('are told whom a name stands for, in any case, from any page', async () => {
    const answer = await ask('/.well-known/keysend/C%61ROL');
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(await answer.json()).toEqual({ status: 'OK', tag: 'keysend', pubkey: nodeId, customData: [] });
    expect((await ask(address, { method: 'OPTIONS' })).status).toBe(204);
    const head = await ask(address, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test.each([
    ['/.well-known/keysend/dave', 404],
    ['/.well-known/keysend/%E0%A4%A', 404],
    ['/.well-known/keysend/', 404],
    ['/.well-known/keysend/carol/x', 404],
    ['/', 404],
    [`/${'a'.repeat(500)}`, 414],
    [`/receipts/${'ab'.repeat(32)}`, 404],
    [`/receipts/${'ab'.repeat(32)}?nonce=5e`, 400],
    [`/receipts/${'ab'.repeat(32)}?nonce=${'00'.repeat(16)}`, 404],
    [`/receipts/${'cd'.repeat(32)}?nonce=${nonce}`, 404],
  ])('who ask for %s get %i', async (path, status) => {
    const answer = await ask(path);
    expect(answer.status).toBe(status);
    await answer.json();
  });

  test('who send something are told that nothing is taken', async () => {
    const body = 'x'.repeat(10_000);
    expect((await ask(address, { method: 'POST', body })).status).toBe(405);
    expect((await ask(address)).status).toBe(200);
  });

  test('learn nothing of a fault inside', async () => {
    fault = new Error('a secret of ours');
    const answer = await ask(address);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toMatch(/secret/);
  });

  test('who paid get the receipt, with the nonce that they chose; later, where there is no store now', async () => {
    const path = `/receipts/${payment.paymentHash}?nonce=${nonce}`;
    const receipt = await (await ask(path)).json();
    expect(verifyReceipt(receipt, { expected: { recipient: nodeId, nonce } }).status).toBe('valid');
    issuer = undefined;
    expect((await ask(path)).status).toBe(503);
  });
});

test('a port that is taken is named', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  const started = startPublicServer({
    host: '127.0.0.1',
    port,
    accountOf: async () => undefined,
    issuer: () => undefined,
    findPayment: () => undefined,
    now: Date.now,
    logger: silentLogger,
  });
  await expect(started).rejects.toMatchObject({
    code: 'port_taken',
    message: expect.stringMatching(/--address-port/),
  });
  await new Promise((resolve) => other.close(resolve));
});
