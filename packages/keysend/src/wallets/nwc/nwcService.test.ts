import { createHash, randomBytes as nodeRandomBytes } from 'node:crypto';
import { NWCClient } from '@getalby/sdk/nwc';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { memoryStore } from '../../store/memoryStore.js';
import { ServedWallet } from '../serving/servedWallet.test.support.js';
import { walletSuite } from '../walletSuite.test.support.js';
import { ManualSchedule, type WalletWorld } from '../walletWorld.test.support.js';
import { nostrPublicKey } from './nip44.js';
import { type NostrEvent, signEvent } from './nostrEvent.js';
import { nwcCipher } from './nwcProtocol.js';
import { type NewNwcConnection, type NwcService, nwcService } from './nwcService.js';
import { parseNwcUri } from './nwcUri.js';
import { nwcWallet } from './nwcWallet.js';
import { testWebSocket } from './nwcWorld.test.support.js';
import { TestRelay } from './relay.test.support.js';

const randomBytes = (length: number) => new Uint8Array(nodeRandomBytes(length));
const nodeId = `03${'cd'.repeat(32)}`;
const tick = () => new Promise((resolve) => setImmediate(resolve));

/** A service over a wallet in memory, at a relay. */
async function startService({
  relay,
  wallet = new ServedWallet(),
  store = memoryStore(),
  secret = randomBytes(32),
}: {
  relay: TestRelay;
  wallet?: ServedWallet;
  store?: ReturnType<typeof memoryStore>;
  secret?: Uint8Array;
}) {
  const timers = new ManualSchedule(2_000);
  let elapsedMs = 0;
  const now = () => Date.now() + elapsedMs;
  const service = nwcService({
    wallet,
    store,
    relays: [relay.url],
    secret,
    WebSocket: testWebSocket,
    now,
    randomBytes,
    schedule: timers.schedule,
  });
  service.start();
  const elapse = (ms: number) => {
    elapsedMs += ms;
    timers.elapse(ms);
  };
  return { relay, wallet, store, secret, service, elapse, now, timers };
}

/** The relay has the wallet's info, and asks it for requests. */
async function isServed(relay: TestRelay, uri: string): Promise<void> {
  const { walletPubkey } = parseNwcUri(uri);
  while (!relay.stored.has(`13194:${walletPubkey}`)) await tick();
  const serves = () =>
    relay.subscriptionsTo(23_194).some(({ filter }) => filter['#p']?.includes(walletPubkey) === true);
  while (!serves()) await tick();
}

beforeAll(() => {
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => {});
});

walletSuite('NWC over our own service', async () => {
  const relay = await TestRelay.start();
  const { wallet: served, service, elapse, now, timers } = await startService({ relay });
  const uri = service.connect({ name: 'app' });
  await isServed(relay, uri);
  const open = () =>
    nwcWallet({ uri, WebSocket: testWebSocket, now, randomBytes, schedule: timers.schedule });
  let received = 0;
  const world: WalletWorld = {
    nodeId,
    secrets: [bytesToHex(parseNwcUri(uri).secret)],
    maxRecordType: BigInt(Number.MAX_SAFE_INTEGER),
    sent: () => served.sent,
    nextSend(behaviour) {
      if (behaviour.type === 'hang') served.plans.push('open');
      if (behaviour.type === 'fail') {
        const { failure } = behaviour;
        served.plans.push({ status: 'failed', failure, message: 'because', retryable: true });
      }
    },
    behaviours: new Set(['succeed', 'fail', 'hang']),
    failures: ['no_route', 'insufficient_balance', 'quota_exceeded', 'rate_limited'],
    async hanging() {
      while (![...served.outcomes.values()].some(({ status }) => status === 'unknown')) await tick();
    },
    async release(outcome) {
      served.settle(
        outcome === 'succeeded'
          ? { status: 'succeeded', feeMsat: 0n }
          : { status: 'failed', failure: 'no_route', message: 'no', retryable: true },
      );
      for (let turn = 0; turn < 5; turn++) {
        await tick();
        elapse(60_000);
      }
    },
    elapse,
    async receive({ amountMsat, records }) {
      const paymentHash = bytesToHex(randomBytes(32));
      const published = relay.published.length;
      served.receive({
        paymentHash,
        amountMsat,
        records,
        receivedAtMs: 1_780_000_000_000 + 1_000 * received++,
      });
      while (relay.published.length < published + 2) await tick();
      return paymentHash;
    },
    reopen: async () => open(),
    async close() {
      service.close();
      await relay.stop();
    },
  };
  return { wallet: open(), world };
});

describe('a service of Nostr Wallet Connect', () => {
  let relay: TestRelay;
  let here: Awaited<ReturnType<typeof startService>>;
  const clients: NWCClient[] = [];

  beforeEach(async () => {
    relay = await TestRelay.start();
    here = await startService({ relay });
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    here.service.close();
    await relay.stop();
  });

  /** An app with another implementation of NIP-47. */
  async function connect(fields: Partial<NewNwcConnection> = {}): Promise<NWCClient> {
    const uri = here.service.connect({ name: 'app', ...fields });
    await isServed(relay, uri);
    const client = new NWCClient({ nostrWalletConnectUrl: uri });
    clients.push(client);
    return client;
  }

  const spent = (service: NwcService = here.service) =>
    service.connections().map(({ spentMsat, reservedMsat }) => [spentMsat, reservedMsat]);
  const requests = () => relay.published.filter(({ kind }) => kind === 23_194);
  const responses = () => relay.published.filter(({ kind }) => kind === 23_195);
  async function responsesAre(count: number): Promise<void> {
    while (responses().length < count) await tick();
  }

  test('pays what another implementation asks for, with its records', async () => {
    const client = await connect();
    const preimage = bytesToHex(randomBytes(32));
    const tlv_records = [
      { type: 7_629_169, value: bytesToHex(new TextEncoder().encode('{"action":"boost"}')) },
      // NIP-47: an app may put one here; it is not taken for a record.
      { type: 5_482_373_484, value: '11'.repeat(32) },
    ];
    const result = await client.payKeysend({ amount: 21_000, pubkey: nodeId, preimage, tlv_records });
    expect(result).toEqual({ preimage, fees_paid: 1_234 });
    expect(here.wallet.keysends).toMatchObject([{ nodeId, amountMsat: 21_000n, maxFeeMsat: 21_000n }]);
    expect([...(here.wallet.keysends[0]?.records.keys() ?? [])]).toEqual([7_629_169n]);
    // The SDK takes no answer to `lookup_invoice` without an invoice.
    expect((await client.listTransactions({ type: 'outgoing' })).transactions).toMatchObject([
      {
        type: 'outgoing',
        state: 'settled',
        preimage,
        payment_hash: bytesToHex(sha256(hexToBytes(preimage))),
        amount: 21_000,
        fees_paid: 1_234,
        metadata: { tlv_records: [{ type: 7_629_169 }] },
      },
    ]);
    await expect(client.lookupInvoice({ payment_hash: '00'.repeat(32) })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  test('chooses a preimage where the app gives none', async () => {
    const client = await connect();
    const { preimage } = await client.payKeysend({ amount: 1_000, pubkey: nodeId });
    expect(preimage).toMatch(/^[0-9a-f]{64}$/);
    expect(here.wallet.keysends[0]?.preimage).toEqual(hexToBytes(preimage));
  });

  test('tells what it is, has and may', async () => {
    const client = await connect({ methods: ['get_info', 'get_balance'] });
    expect(await client.getInfo()).toMatchObject({
      pubkey: here.wallet.nodeId,
      network: 'regtest',
      methods: ['get_info', 'get_balance'],
    });
    expect(await client.getBalance()).toEqual({ balance: 5_000_999 });
    expect(await client.getWalletServiceInfo()).toMatchObject({
      encryptions: ['nip44_v2', 'nip04'],
      capabilities: ['get_info', 'get_balance', 'notifications'],
      notifications: ['payment_received'],
    });
    await expect(client.payKeysend({ amount: 1_000, pubkey: nodeId })).rejects.toMatchObject({
      code: 'RESTRICTED',
    });
    await expect(client.makeInvoice({ amount: 1 })).rejects.toMatchObject({ code: 'NOT_IMPLEMENTED' });
    await expect(client.signMessage({ message: 'x' })).rejects.toMatchObject({ code: 'RESTRICTED' });
    expect(here.wallet.keysends).toHaveLength(0);
    expect(() => here.service.connect({ name: 'x', methods: ['make_coffee'] })).toThrow(/not served/);
  });

  test('keeps each app to its budget, fees and what is under way included', async () => {
    const client = await connect({ budgetMsat: 100_000n, renewal: 'daily' });
    const other = await connect();
    const pay = (amount: number) => client.payKeysend({ amount, pubkey: nodeId });
    // What it may cost at most is what counts before it is paid: as much again for the fee.
    await expect(pay(50_001)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    await pay(50_000);
    expect(spent()).toContainEqual([51_234n, 0n]);
    here.wallet.plans.push('open');
    const open = pay(20_000);
    open.catch(() => {});
    while (here.wallet.keysends.length < 2) await tick();
    expect(spent()).toContainEqual([51_234n, 40_000n]);
    await expect(pay(5_000)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    await other.payKeysend({ amount: 1_000_000, pubkey: nodeId });
    here.wallet.settle({ status: 'failed', failure: 'no_route', message: 'no', retryable: true });
    await tick();
    here.elapse(60_000);
    await expect(open).rejects.toMatchObject({ code: 'PAYMENT_FAILED' });
    expect(spent()).toContainEqual([51_234n, 0n]);
    here.elapse(86_400_000);
    expect(spent()).toContainEqual([0n, 0n]);
  });

  test('carries a request out once, whatever the relay repeats, and after a restart too', async () => {
    const client = await connect();
    await client.payKeysend({ amount: 1_000, pubkey: nodeId });
    here.wallet.plans.push({ status: 'failed', failure: 'no_route', message: 'no', retryable: true });
    await expect(client.payKeysend({ amount: 2_000, pubkey: nodeId })).rejects.toMatchObject({
      code: 'PAYMENT_FAILED',
    });
    const [paid, failed] = requests() as [NostrEvent, NostrEvent];
    // The pool of the first service remembers events; a new one does not.
    here.service.close();
    relay.dropConnections();
    while (relay.connections.length > 0) await tick();
    const { store, wallet, secret } = here;
    here = await startService({ relay, store, wallet, secret });
    while (relay.subscriptionsTo(23_194).length === 0) await tick();
    for (let time = 0; time < 3; time++) {
      relay.broadcast(paid);
      relay.broadcast(failed);
    }
    await responsesAre(4);
    await tick();
    expect(responses()).toHaveLength(4);
    expect(wallet.keysends).toHaveLength(2);
    expect(wallet.paid).toBe(1);
  });

  test('finishes after a restart what was open, without sending it again', async () => {
    const client = await connect({ budgetMsat: 1_000_000n });
    here.wallet.plans.push('open');
    client.payKeysend({ amount: 1_000, pubkey: nodeId }).catch(() => {});
    while (here.wallet.keysends.length === 0) await tick();
    const [request] = requests() as [NostrEvent];
    here.service.close();
    relay.dropConnections();
    while (relay.connections.length > 0) await tick();
    const { store, wallet, secret } = here;
    wallet.settle({ status: 'succeeded', feeMsat: 7n, preimage: 'ab'.repeat(32) });
    here = await startService({ relay, store, wallet, secret });
    while (spent()[0]?.[0] === 0n) await tick();
    expect(spent()).toEqual([[1_007n, 0n]]);
    while (relay.subscriptionsTo(23_194).length === 0) await tick();
    relay.broadcast(request);
    await responsesAre(1);
    expect(wallet.keysends).toHaveLength(1);
  });

  test('says nothing of a payment that was made and cannot be stored: an app would make it again', async () => {
    const client = await connect();
    const { wallet, store, secret } = here;
    const transaction = store.transaction.bind(store);
    const keysend = wallet.keysend.bind(wallet);
    wallet.keysend = (request) => {
      store.transaction = () => {
        throw new Error('the disk is full');
      };
      return keysend(request);
    };
    client.payKeysend({ amount: 1_000, pubkey: nodeId }).catch(() => {});
    while (wallet.paid === 0) await tick();
    for (let turn = 0; turn < 20; turn++) await tick();
    expect(responses()).toHaveLength(0);
    store.transaction = transaction;
    const [request] = requests() as [NostrEvent];
    here.service.close();
    relay.dropConnections();
    while (relay.connections.length > 0) await tick();
    here = await startService({ relay, store, wallet, secret });
    while (relay.subscriptionsTo(23_194).length === 0) await tick();
    relay.broadcast(request);
    await responsesAre(1);
    expect(wallet.paid).toBe(1);
    expect(wallet.keysends).toHaveLength(1);
  });

  test('takes nothing from strangers, nor what is old, expired, of somebody else or not understood', async () => {
    const uri = here.service.connect({ name: 'app' });
    await isServed(relay, uri);
    const { secret, walletPubkey } = parseNwcUri(uri);
    const stranger = randomBytes(32);
    const seconds = Math.floor(here.now() / 1000);
    const request = (
      given: {
        by?: Uint8Array;
        created?: number;
        tags?: string[][];
        text?: string;
        encryption?: string;
      } = {},
    ): NostrEvent => {
      const { by = secret, created = seconds, tags = [], encryption = 'nip04' } = given;
      const params = { amount: 1_000, pubkey: nodeId };
      const text = given.text ?? JSON.stringify({ method: 'pay_keysend', params });
      return signEvent(
        {
          kind: 23_194,
          created_at: created,
          tags: [
            ['p', walletPubkey],
            ...(encryption === 'nip04' ? [] : [['encryption', encryption]]),
            ...tags,
          ],
          content: nwcCipher(by, walletPubkey, randomBytes).encrypt(text, 'nip04'),
        },
        by,
        randomBytes(32),
      );
    };
    const [subscription] = relay.subscriptionsTo(23_194);
    const give = (event: unknown) =>
      subscription?.socket.send(JSON.stringify(['EVENT', subscription.id, event]));
    const good = request();
    const bad: unknown[] = [
      request({ by: stranger }),
      request({ created: seconds - 3_700 }),
      request({ created: seconds + 1_000 }),
      request({ tags: [['expiration', String(seconds - 10)]] }),
      request({ text: 'no JSON' }),
      request({ text: '{"method":5}' }),
      { ...good, content: request().content },
      { ...good, pubkey: nostrPublicKey(stranger) },
      { ...good, sig: '00'.repeat(64) },
      { ...good, kind: 1 },
      'rubbish',
      null,
    ];
    for (const event of bad) give(event);
    give(request({ encryption: 'rot13' }));
    await responsesAre(1);
    expect(here.wallet.keysends).toHaveLength(0);
    // And this is what it takes.
    give(good);
    await responsesAre(2);
    expect(here.wallet.keysends).toHaveLength(1);
    const { clientPubkey } = here.service.connections()[0] as { clientPubkey: string };
    here.service.disconnect(clientPubkey);
    give(request());
    give(request({ text: JSON.stringify({ method: 'get_info' }) }));
    await tick();
    expect(responses()).toHaveLength(2);
  });

  test('refuses what makes no sense, and a preimage that was used for another payment', async () => {
    const client = await connect();
    const preimage = bytesToHex(randomBytes(32));
    await client.payKeysend({ amount: 1_000, pubkey: nodeId, preimage });
    // The same again is the same payment.
    expect(await client.payKeysend({ amount: 1_000, pubkey: nodeId, preimage })).toMatchObject({ preimage });
    for (const request of [
      { amount: 2_000, pubkey: nodeId, preimage },
      { amount: 0, pubkey: nodeId },
      { amount: 1.5, pubkey: nodeId },
      { amount: 1_000, pubkey: 'x' },
      { amount: 1_000, pubkey: nodeId, preimage: 'abc' },
      { amount: 1_000, pubkey: nodeId, tlv_records: [{ type: 70_000, value: 'xyz' }] },
    ]) {
      await expect(client.payKeysend(request)).rejects.toMatchObject({ code: 'OTHER' });
    }
    await expect(client.payInvoice({ invoice: 'lnbc1garbage' })).rejects.toMatchObject({ code: 'OTHER' });
    expect(here.wallet.keysends).toHaveLength(1);
  });

  test('says again what it is when a relay has lost that', async () => {
    const uri = here.service.connect({ name: 'app' });
    await isServed(relay, uri);
    relay.stored.clear();
    here.elapse(120_000);
    relay.dropConnections();
    await isServed(relay, uri);
  });

  test('tells apps of what arrives, with its records', async () => {
    const client = await connect();
    const heard: unknown[] = [];
    await client.subscribeNotifications((notification) => heard.push(notification), ['payment_received']);
    while (relay.subscriptionsTo(23_197).length === 0) await tick();
    const paymentHash = createHash('sha256').update('x').digest('hex');
    here.wallet.receive({
      paymentHash,
      amountMsat: 5_000n,
      receivedAtMs: 1_780_000_000_000,
      records: new Map([[7_629_169n, Uint8Array.of(0x7b, 0x7d)]]),
    });
    while (heard.length === 0) await tick();
    const transaction = {
      type: 'incoming',
      state: 'settled',
      payment_hash: paymentHash,
      amount: 5_000,
      settled_at: 1_780_000_000,
      metadata: { tlv_records: [{ type: 7_629_169, value: '7b7d' }] },
    };
    expect(heard).toMatchObject([{ notification_type: 'payment_received', notification: transaction }]);
    expect((await client.listTransactions({})).transactions).toMatchObject([transaction]);
  });
});
