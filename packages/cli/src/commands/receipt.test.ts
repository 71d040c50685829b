import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToHex } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import {
  derivePreimage,
  type LegPlan,
  paymentOfLeg,
  proveLeg,
  ReceiptBook,
  ReceiptIssuer,
  signAsNode,
} from '@rivulet/keysend';
import { loadToolkitSecret } from '@rivulet/keysend/node';
import { openToolkit } from '@rivulet/keysend/sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld } from '../cli.test.support.js';

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
});
