import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { type KeysendRequest, type ReceivedPayment, rivuletWallet, type Wallet } from '@rivulet/keysend';
import { createClient, tokenFileName } from '@rivulet/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NetworkNode, startPair, type TestNetwork } from './network.test.support.js';

let network: TestNetwork;
let alice: NetworkNode;
let bob: NetworkNode;

beforeAll(async () => {
  ({ network, alice, bob } = await startPair());
});

afterAll(() => network?.stop());

let counter = 0;

function requestTo(to: NetworkNode, fields: Partial<KeysendRequest> = {}): KeysendRequest {
  counter++;
  return {
    nodeId: to.nodeId,
    amountMsat: 21_000n,
    records: new Map(),
    key: `test-${counter}`,
    preimage: sha256(Uint8Array.of(counter)),
    maxFeeMsat: 1_000n,
    timeoutSeconds: 30,
    ...fields,
  };
}

const hashOf = ({ preimage }: KeysendRequest) => bytesToHex(sha256(preimage));

async function take(wallet: Wallet, count: number, after?: string): Promise<ReceivedPayment[]> {
  const { signal } = new AbortController();
  const taken: ReceivedPayment[] = [];
  for await (const payment of wallet.subscribe(after === undefined ? { signal } : { after, signal })) {
    taken.push(payment);
    if (taken.length === count) break;
  }
  return taken;
}

describe('the wallet of a real Rivulet node', () => {
  test('tells of itself, of its balance, and signs', async () => {
    expect(await alice.wallet.info()).toMatchObject({
      kind: 'rivulet',
      nodeId: alice.nodeId,
      network: 'regtest',
    });
    const { spendableMsat, receivableMsat } = await alice.wallet.balance();
    expect(spendableMsat).toBeGreaterThan(600_000_000n);
    expect(receivableMsat).toBeGreaterThan(200_000_000n);
    expect(await alice.wallet.signMessage('hello')).toMatch(/^[a-z0-9]{104}$/);
  });

  test('brings a boost to the other side byte for byte, and each one once', async () => {
    const boost = new TextEncoder().encode(
      '{"action":"boost","message":"grüße 🎧","value_msat_total":21000}',
    );
    const records = new Map([
      [7629169n, boost],
      [696969n, Uint8Array.of(0, 255)],
      [0xffff_ffff_ffff_ffffn, new Uint8Array()],
    ]);
    const arriving = take(bob.wallet, 2);
    const first = requestTo(bob, { records });
    const outcome = await alice.wallet.keysend(first);
    expect(outcome).toMatchObject({
      status: 'succeeded',
      paymentHash: hashOf(first),
      preimage: bytesToHex(first.preimage),
      feeMsat: 0n,
    });
    // The same preimage is the same payment.
    expect(await alice.wallet.keysend(first)).toEqual(outcome);
    const second = requestTo(bob, { amountMsat: 5_000n });
    const twice = await Promise.all([alice.wallet.keysend(second), alice.wallet.keysend(second)]);
    expect(twice.map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);
    const arrived = await arriving;
    expect(arrived).toMatchObject([
      { paymentHash: hashOf(first), amountMsat: 21_000n },
      { paymentHash: hashOf(second), amountMsat: 5_000n, records: new Map() },
    ]);
    const shown = (map: ReadonlyMap<bigint, Uint8Array> = new Map()) =>
      new Map(Array.from(map, ([type, value]) => [type, bytesToHex(value)]));
    expect(shown(arrived[0]?.records)).toEqual(shown(records));
    // After the first: the second alone; and what follows it.
    expect((await take(bob.wallet, 1, arrived[0]?.cursor))[0]?.paymentHash).toBe(hashOf(second));
    const next = take(bob.wallet, 1, arrived[1]?.cursor);
    const third = requestTo(bob);
    await alice.wallet.keysend(third);
    expect((await next).map(({ paymentHash }) => paymentHash)).toEqual([hashOf(third)]);
  });

  test('finds what it sent, and says that it never sent the rest', async () => {
    const request = requestTo(bob);
    const query = {
      key: request.key,
      amountMsat: request.amountMsat,
      paymentHash: hashOf(request),
      sinceMs: 0,
    };
    expect(await alice.wallet.lookup(query)).toBeUndefined();
    const outcome = await alice.wallet.keysend(request);
    expect(await alice.wallet.lookup(query)).toEqual(outcome);
    // The other side knows it as one that came in.
    expect(await bob.wallet.lookup(query)).toBeUndefined();
  });

  test('says why a payment failed, and tries the same again', async () => {
    const tooMuch = requestTo(bob, { amountMsat: 5_000_000_000n });
    expect(await alice.wallet.keysend(tooMuch)).toMatchObject({
      status: 'failed',
      failure: 'insufficient_balance',
    });
    const nobody = requestTo(bob, { nodeId: `02${'11'.repeat(32)}` });
    expect((await alice.wallet.keysend(nobody)).status).toBe('failed');
    const stranger = {
      ...requestTo(bob),
      nodeId: `02${'79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'}`,
    };
    expect(await alice.wallet.keysend(stranger)).toMatchObject({ status: 'failed', failure: 'no_route' });
    expect(await alice.wallet.keysend({ ...stranger, nodeId: bob.nodeId })).toMatchObject({
      status: 'succeeded',
    });
  });

  test('pays once through connections that break before and after the node has the request', async () => {
    const { apiUrl: url, dataDir } = alice.daemon.ready;
    const token = readFileSync(join(dataDir, tokenFileName), 'utf8').trim();
    const broken = (code: string) =>
      new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) });
    let state = 7;
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    const faulty: typeof fetch = async (input, init) => {
      const fault = random(4);
      if (fault === 1) throw broken('ECONNREFUSED');
      if (fault === 2) throw broken('ECONNRESET');
      const response = await fetch(input, init);
      if (fault === 3) throw broken('ECONNRESET');
      return response;
    };
    const wallet = rivuletWallet(createClient({ url, token, fetch: faulty }));
    const requests = Array.from({ length: 5 }, () => requestTo(bob));
    const timesPaid = async (request: KeysendRequest) => {
      const { payments } = await bob.client.payments({ direction: 'incoming', limit: 1_000 });
      return payments.filter(({ paymentHash }) => paymentHash === hashOf(request)).length;
    };
    const statuses = new Set<string>();
    for (let step = 0; step < 40; step++) {
      const request = requests[random(requests.length)] as KeysendRequest;
      const { status } = await wallet.keysend(request);
      statuses.add(status);
      const paid = await timesPaid(request);
      expect(paid).toBeLessThanOrEqual(1);
      if (status === 'succeeded') expect(paid).toBe(1);
      // Refused connections are `failed`, of this try: what an earlier one has paid stays paid.
    }
    expect(statuses).toContain('unknown');
    expect(statuses).toContain('succeeded');
    for (const request of requests) {
      expect((await alice.wallet.keysend(request)).status).toBe('succeeded');
      expect(await timesPaid(request)).toBe(1);
    }
  });

  test('pays an invoice, which is no keysend to its receiver', async () => {
    const { invoice, paymentHash } = await bob.client.createInvoice({
      amountMsat: 50_000n,
      description: 'x',
    });
    const [last] = (await bob.client.payments({ direction: 'incoming', limit: 1 })).payments;
    const arriving = take(bob.wallet, 1, last?.sequence.toString());
    expect(await alice.wallet.payInvoice({ invoice, maxFeeMsat: 0n })).toMatchObject({
      status: 'succeeded',
      paymentHash,
    });
    const after = requestTo(bob);
    await alice.wallet.keysend(after);
    expect((await arriving).map((payment) => payment.paymentHash)).toEqual([hashOf(after)]);
    expect((await alice.wallet.payInvoice({ invoice: 'lnbcrt1nonsense' })).status).toBe('failed');
  });

  test('says that the credentials are wrong, and that nobody is there', async () => {
    const { apiUrl: url } = bob.daemon.ready;
    const wrong = rivuletWallet(createClient({ url, token: '00'.repeat(32) }));
    expect(await wrong.keysend(requestTo(alice))).toMatchObject({
      status: 'failed',
      failure: 'unauthorized',
    });
    await expect(wrong.balance()).rejects.toMatchObject({ code: 'wallet_unauthorized' });
    const stopping = take(bob.wallet, 100);
    stopping.catch(() => {});
    await bob.daemon.stop();
    await expect(stopping).rejects.toMatchObject({ code: 'wallet_unreachable' });
    expect(await bob.wallet.keysend(requestTo(alice))).toMatchObject({
      status: 'failed',
      failure: 'unreachable',
      retryable: true,
    });
  });
});
