import { randomBytes } from 'node:crypto';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { memoryStore, type ReceivedPayment, type Wallet } from '@rivulet/keysend';
import { formatNwcUri, type NwcService, nwcService, nwcWallet, parseNwcUri } from '@rivulet/keysend/nwc';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type NetworkNode, nextReceived, startPair, type TestNetwork } from './network.test.support.js';
import { getalby, PlainRelay, WebSocket } from './nostr.test.support.js';

let network: TestNetwork;
let relay: PlainRelay;
let alice: NetworkNode;
let bob: NetworkNode;
let service: NwcService;

const boost = new TextEncoder().encode('{"action":"boost","message":"grüße 🎧","value_msat_total":21000}');
const records = [
  { type: 7_629_169, value: bytesToHex(boost) },
  { type: 696_969, value: '00ff' },
];

const arrived = (wallet: Wallet, hash: string) =>
  nextReceived(wallet, ({ paymentHash }) => paymentHash === hash);
const hashOf = (preimage: string) => bytesToHex(sha256(hexToBytes(preimage)));
const recordsOf = ({ records: got }: ReceivedPayment) =>
  [...got].map(([type, value]) => ({ type: Number(type), value: bytesToHex(value) }));
const sorted = (list: { type: number; value: string }[]) => [...list].sort((a, b) => a.type - b.type);

beforeAll(async () => {
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => {});
  relay = await PlainRelay.start();
  ({ network, alice, bob } = await startPair());
  service = nwcService({
    wallet: alice.wallet,
    store: memoryStore(),
    relays: [relay.url],
    secret: new Uint8Array(randomBytes(32)),
    WebSocket,
  });
  service.start();
});

afterAll(async () => {
  service?.close();
  await network?.stop();
  await relay?.stop();
});

describe('Nostr Wallet Connect over real nodes', () => {
  test('an app with another implementation pays over our service and node, and the other node has its records', async () => {
    const app = new getalby.NWCClient({
      nostrWalletConnectUrl: service.connect({ name: 'podcasts', budgetMsat: 1_000_000n }),
    });
    expect(await app.getInfo()).toMatchObject({ pubkey: alice.nodeId, network: 'regtest' });
    expect((await app.getBalance()).balance).toBeGreaterThan(600_000_000);
    const preimage = randomBytes(32).toString('hex');
    const paid = await app.payKeysend({ amount: 21_000, pubkey: bob.nodeId, preimage, tlv_records: records });
    expect(paid.preimage).toBe(preimage);
    const payment = await arrived(bob.wallet, hashOf(preimage));
    expect(payment.amountMsat).toBe(21_000n);
    expect(sorted(recordsOf(payment))).toEqual(sorted(records));
    // The same again is the same payment.
    await app.payKeysend({ amount: 21_000, pubkey: bob.nodeId, preimage, tlv_records: records });
    expect(service.connections()).toMatchObject([{ spentMsat: 21_000n, reservedMsat: 0n }]);
    // More than the rest of the budget may cost.
    await expect(app.payKeysend({ amount: 900_000, pubkey: bob.nodeId })).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
    });
    const { invoice } = await bob.client.createInvoice({ amountMsat: 5_000n, description: 'coffee' });
    expect((await app.payInvoice({ invoice })).preimage).toMatch(/^[0-9a-f]{64}$/);
    expect((await app.listTransactions({ type: 'outgoing' })).transactions).toHaveLength(2);
    app.close();
  });

  test('our wallet pays over the service of another implementation, with a real node behind it', async () => {
    const walletSecret = randomBytes(32).toString('hex');
    const secret = new Uint8Array(randomBytes(32));
    // It tells the public key of any secret; who the app is, is said below.
    const { walletPubkey: clientPubkey } = new getalby.NWCWalletServiceKeyPair(bytesToHex(secret), 'x');
    const keys = new getalby.NWCWalletServiceKeyPair(walletSecret, clientPubkey);
    const theirs = new getalby.NWCWalletService({ relayUrl: relay.url });
    const methods = ['get_info', 'pay_keysend'];
    await theirs.publishWalletServiceInfoEvent(walletSecret, methods, []);
    const end = await theirs.subscribe(keys, {
      getInfo: async () => ({ result: { pubkey: alice.nodeId, methods }, error: undefined }),
      payKeysend: async (request: {
        amount: number;
        pubkey: string;
        preimage: string;
        tlv_records: { type: number; value: string }[];
      }) => {
        const outcome = await alice.wallet.keysend({
          nodeId: request.pubkey,
          amountMsat: BigInt(request.amount),
          records: new Map(request.tlv_records.map(({ type, value }) => [BigInt(type), hexToBytes(value)])),
          preimage: hexToBytes(request.preimage),
          key: `theirs/${request.preimage}`,
        });
        return outcome.status === 'succeeded'
          ? { result: { preimage: outcome.preimage, fees_paid: Number(outcome.feeMsat) }, error: undefined }
          : { result: undefined, error: { code: 'PAYMENT_FAILED', message: 'no' } };
      },
    });
    const uri = formatNwcUri({ walletPubkey: keys.walletPubkey, relays: [relay.url], secret });
    expect(parseNwcUri(uri).walletPubkey).toBe(keys.walletPubkey);
    const wallet = nwcWallet({ uri, WebSocket });
    const preimage = new Uint8Array(randomBytes(32));
    const outcome = await wallet.keysend({
      nodeId: bob.nodeId,
      amountMsat: 33_000n,
      records: new Map(records.map(({ type, value }) => [BigInt(type), hexToBytes(value)])),
      preimage,
      key: 'ours/1',
    });
    expect(outcome).toMatchObject({ status: 'succeeded', preimage: bytesToHex(preimage) });
    const payment = await arrived(bob.wallet, bytesToHex(sha256(preimage)));
    expect(payment.amountMsat).toBe(33_000n);
    expect(sorted(recordsOf(payment))).toEqual(sorted(records));
    await wallet.close();
    end();
    theirs.close();
  });

  test('a keysend that a real node receives is seen by an app over our service, with its records', async () => {
    const store = memoryStore();
    const secret = new Uint8Array(randomBytes(32));
    const ofBob = nwcService({ wallet: bob.wallet, store, relays: [relay.url], secret, WebSocket });
    ofBob.start();
    const wallet = nwcWallet({ uri: ofBob.connect({ name: 'boosts' }), WebSocket });
    const preimage = new Uint8Array(randomBytes(32));
    const seenByApp = arrived(wallet, bytesToHex(sha256(preimage)));
    await alice.wallet.keysend({
      nodeId: bob.nodeId,
      amountMsat: 44_000n,
      records: new Map([[7_629_169n, boost]]),
      preimage,
      key: 'alice/1',
    });
    const payment = await seenByApp;
    expect(payment.amountMsat).toBe(44_000n);
    expect(recordsOf(payment)).toEqual([{ type: 7_629_169, value: bytesToHex(boost) }]);
    await wallet.close();
    ofBob.close();
  });
});
