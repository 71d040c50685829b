import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { bytesToHex } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { derivePreimage, type LegPlan } from '@rivulet/keysend';
import { loadToolkitSecret } from '@rivulet/keysend/node';
import {
  createReceiptRequest,
  parseReceipt,
  paymentOfLeg,
  proveLeg,
  ReceiptBook,
  ReceiptIssuer,
  senderProofType,
  signAsNode,
  verifyReceipt,
} from '@rivulet/keysend/proof';
import { openToolkit } from '@rivulet/keysend/sqlite';
import { ServiceError } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, payment as examplePayment, info, until } from '../cli.test.support.js';

let world: CliWorld;
beforeEach(() => {
  world = new CliWorld();
});
afterEach(() => world.close());

const payeeKey = new Uint8Array(32).fill(8);
const payee = bytesToHex(secp256k1.publicKey(payeeKey));
const key = 'boost/1/0';

/** A payment of this data folder, for which the payee has signed. */
async function paidWithReceipt() {
  const { store, close } = openToolkit({ path: join(world.dataDir, 'toolkit.sqlite') });
  const secret = loadToolkitSecret({ path: join(world.dataDir, 'toolkit-secret'), store });
  const recipient = { type: 'node', address: payee } as const;
  const plain: LegPlan = { key, group: 'boost/1', recipient, amountMsat: 21_000n, records: new Map() };
  const plan = await proveLeg(plain, { secret, receipt: {}, nowMs: 1 });
  const payment = paymentOfLeg(plan, secret);
  const now = () => 5;
  const book = new ReceiptBook({ store, now });
  store.transaction((tx) => book.ask(tx, payment, key));
  const sign = async (text: string) => signAsNode(text, payeeKey);
  const issuer = new ReceiptIssuer({ store, recipient: payee, sign, now });
  const receivedAtMs = Date.UTC(2026, 4, 1);
  const receipt = await issuer.issue({ ...payment, receivedAtMs, cursor: '1' });
  expect(book.accept(receipt).status).toBe('stored');
  const preimage = bytesToHex(derivePreimage(secret, key));
  close();
  return { receipt, preimage };
}

const file = (name: string): string => join(world.dataDir, name);

describe('rivulet receipt', () => {
  test('lists, shows and exports what came; anybody verifies it, without daemon and data folder', async () => {
    const { receipt, preimage } = await paidWithReceipt();
    const { paymentHash } = receipt;
    expect((await world.run('receipt', 'list')).out).toContain(paymentHash.slice(0, 12));
    expect(JSON.parse((await world.run('receipt', 'get', paymentHash, '--json')).out)).toEqual(receipt);
    expect((await world.run('receipt', 'export', paymentHash)).out).not.toContain(preimage);
    const out = file('receipt.json');
    expect((await world.run('receipt', 'export', paymentHash, '--with-preimage', '--out', out)).code).toBe(0);
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual({ ...receipt, preimage });
    expect(bytesToHex(sha256(Buffer.from(preimage, 'hex')))).toBe(paymentHash);

    const elsewhere = new CliWorld();
    const verified = await elsewhere.run(
      'receipt',
      'verify',
      out,
      '--expect-node',
      payee,
      '--expect-amount',
      '21',
    );
    expect(verified).toMatchObject({ code: 0, out: expect.stringContaining('the preimage') });
    const json = await elsewhere.run('receipt', 'verify', out, '--json');
    expect(JSON.parse(json.out)).toEqual({ status: 'valid', hasPreimage: true, receipt });
    await elsewhere.close();
  });

  test.each([
    ['another amount', ['--expect-amount', '22'], /another amount/],
    ['another node', ['--expect-node', `02${'ab'.repeat(32)}`], /another node/],
    ['another payment', ['--expect-hash', 'ab'.repeat(32)], /another payment/],
    ['a sender', ['--expect-sender', `02${'ab'.repeat(32)}`], /another sender/],
  ])('verify ends with 1 where %s is expected', async (_, args, reason) => {
    const { receipt } = await paidWithReceipt();
    writeFileSync(file('r.json'), JSON.stringify(receipt));
    const { code, err } = await world.run('receipt', 'verify', file('r.json'), ...args);
    expect([code, err]).toEqual([1, expect.stringMatching(reason)]);
  });

  test('verify ends with 1 for what is changed, and for what is no receipt', async () => {
    const { receipt } = await paidWithReceipt();
    const verify = async (text: string) => {
      writeFileSync(file('r.json'), text);
      return world.run('receipt', 'verify', file('r.json'), '--json');
    };
    const changed = await verify(JSON.stringify({ ...receipt, amountMsat: '22000' }));
    expect(changed.code).toBe(1);
    expect(JSON.parse(changed.out)).toEqual({ status: 'invalid', reason: 'signature_wrong' });
    expect(JSON.parse(changed.err).error.code).toBe('receipt_invalid');
    expect((await verify('{}')).code).toBe(1);
    expect((await verify('receipt')).code).toBe(1);
    expect((await world.run('receipt', 'verify', '/nowhere')).code).not.toBe(0);
  });

  test('says what is not there', async () => {
    expect((await world.run('receipt', 'list')).out).toBe('no receipts yet\n');
    expect(await world.run('receipt', 'get', 'ab'.repeat(32))).toMatchObject({
      code: 1,
      err: expect.stringMatching(/no receipt/),
    });
    expect(await world.run('receipt', 'export', 'ab'.repeat(32))).toMatchObject({ code: 1 });
    expect(await world.run('receipt', 'get', 'ab')).toMatchObject({ code: 2 });
  });

  test('fetches what is not here yet from the recipient, and keeps it once it is checked', async () => {
    const { receipt } = await paidWithReceipt();
    const { store, close } = openToolkit({ path: file('toolkit.sqlite') });
    store.transaction((tx) => tx.delete(`receipt/got/${receipt.paymentHash}`));
    close();
    const asked: string[] = [];
    let answer = receipt;
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/receipts`;
    const get = (...args: string[]) =>
      world.run('receipt', 'get', receipt.paymentHash, '--url', url, ...args);
    try {
      answer = { ...receipt, amountMsat: '22000' };
      expect(await get('--allow-local')).toMatchObject({ code: 1, err: expect.stringMatching(/not valid/) });
      answer = receipt;
      expect((await get()).code).toBe(1);
      expect(await get('--allow-local')).toMatchObject({ code: 0, out: expect.stringContaining(payee) });
      expect(asked.at(-1)).toBe(`/receipts/${receipt.paymentHash}?nonce=${receipt.nonce}`);
      expect((await world.run('receipt', 'get', receipt.paymentHash)).code).toBe(0);
    } finally {
      server.close();
    }
  });
});

/** A daemon that has received one keysend, which asks for a receipt. */
async function receiving() {
  const nonce = '0f'.repeat(16);
  const records = new Map([[senderProofType, createReceiptRequest(new Map(), { nonce })]]);
  const { paymentHash } = examplePayment;
  const received = { ...examplePayment, direction: 'incoming' as const, sequence: 1, records };
  await world.serve({
    info: async () => ({ ...info, nodeId: payee }),
    invoices: async () => {
      throw new ServiceError('unknown_invoice', 'none');
    },
    payments: async ({ after = 0 }: { after?: number }) => ({ payments: after === 0 ? [received] : [] }),
    signMessage: async ({ message }: { message: string }) => ({
      nodeId: payee,
      signature: signAsNode(message, payeeKey),
    }),
  });
  return { nonce, paymentHash };
}

describe('rivulet receipt issue', () => {
  test('signs for what the daemon has received, with the right nonce, the same each time', async () => {
    const { nonce, paymentHash } = await receiving();
    const issue = (...args: string[]) => world.run('receipt', 'issue', paymentHash, ...args);
    const { out, code, err } = await issue('--nonce', nonce);
    expect([code, err]).toEqual([0, '']);
    const receipt = parseReceipt(out);
    expect(verifyReceipt(receipt, { expected: { recipient: payee, paymentHash, nonce } }).status).toBe(
      'valid',
    );
    expect(parseReceipt((await issue('--json')).out)).toEqual(receipt);
    expect(await issue('--nonce', '00'.repeat(16))).toMatchObject({
      code: 1,
      err: expect.stringMatching(/nonce/),
    });
    expect((await world.run('audit', 'list')).out).toContain('receipt_issued');
  });

  test('gives up on a payment that never came', async () => {
    await receiving();
    const timers: (() => void)[] = [];
    const schedule = (delayMs: number, run: () => void) => {
      if (delayMs === 5_000) timers.push(run);
      return () => {};
    };
    const given = ['receipt', 'issue', 'ee'.repeat(32), '--wait', '5'];
    const running = world.start({ schedule }, ...given);
    await until(() => timers.length > 0);
    for (const end of timers) end();
    expect(await running.done).toMatchObject({
      code: 1,
      err: expect.stringMatching(/has received no keysend/),
    });
  });

  test("anchors of the audit log are signed by the daemon's node", async () => {
    const { nonce, paymentHash } = await receiving();
    await world.run('receipt', 'issue', paymentHash, '--nonce', nonce);
    expect((await world.run('audit', 'anchor', '--sign', '--out', file('anchor.json'))).code).toBe(0);
    const verified = await world.run('audit', 'verify', '--anchor', file('anchor.json'));
    expect(verified.out).toContain(`anchor  entry 1, signed by ${payee}`);
  });
});
