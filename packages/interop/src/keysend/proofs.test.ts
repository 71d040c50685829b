import { readFileSync } from 'node:fs';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import {
  type DestinationResolver,
  LegLedger,
  type LegPlan,
  memoryStore,
  type ToolkitStore,
} from '@rivulet/keysend';
import { AuditLog, createGuard, verifyAudit } from '@rivulet/keysend/compliance';
import {
  paymentOfLeg,
  proveLeg,
  ReceiptBook,
  ReceiptIssuer,
  ReceiptReturner,
  verifyReceipt,
  verifySenderProof,
} from '@rivulet/keysend/proof';
import { Result_PublicKeySecp256k1ErrorZ_OK, UtilMethods } from 'lightningdevkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadLdk } from '../ldk/ldkRuntime.js';
import { type NetworkNode, nextReceived, startPair, type TestNetwork } from './network.test.support.js';

/** A real node, and an app beside it. */
interface Here extends Pick<NetworkNode, 'wallet' | 'nodeId'> {
  readonly secret: Uint8Array;
  readonly store: ToolkitStore;
  readonly audit: AuditLog;
  readonly ledger: LegLedger;
}

let network: TestNetwork;
let alice: Here;
let bob: Here;

const resolver: DestinationResolver = {
  resolve: async ({ address }) => ({ type: 'keysend', nodeId: address, records: new Map() }),
  invoice: () => Promise.reject(new Error('no invoices here')),
};

function appBeside({ wallet, nodeId }: NetworkNode, name: string): Here {
  const store = memoryStore();
  const audit = new AuditLog({ store });
  const secret = sha256(utf8ToBytes(name));
  const ledger = new LegLedger({
    store,
    wallet,
    secret,
    now: Date.now,
    schedule: (delayMs, run) => {
      // Only what is due at once: nothing here has to be tried again.
      if (delayMs === 0) queueMicrotask(run);
      return () => {};
    },
    resolver,
    owner: name,
    isOwnerAlive: () => false,
    audit,
    guard: createGuard({ audit }),
  });
  return { wallet, nodeId, secret, store, audit, ledger };
}

beforeAll(async () => {
  const pair = await startPair();
  network = pair.network;
  alice = appBeside(pair.alice, 'alice');
  bob = appBeside(pair.bob, 'bob');
});

afterAll(() => network?.stop());

describe('proofs between real nodes', () => {
  test('a boost is signed by its sender, and its receipt comes back by keysend', async () => {
    const plan: LegPlan = {
      key: 'boost/1/0',
      group: 'boost/1',
      recipient: { type: 'node', address: bob.nodeId },
      amountMsat: 21_000n,
      records: new Map([[7_629_169n, utf8ToBytes('{"action":"boost","message":"grüße 🎧"}')]]),
    };
    const signer = { nodeId: alice.nodeId, sign: (text: string) => alice.wallet.signMessage(text) };
    const receipt = { replyTo: alice.nodeId };
    const proven = await proveLeg(plan, { secret: alice.secret, signer, receipt, nowMs: Date.now() });
    const book = new ReceiptBook({ store: alice.store, now: Date.now, audit: alice.audit });
    const payment = paymentOfLeg(proven, alice.secret);
    alice.store.transaction((tx) => {
      alice.ledger.planIn(tx, [proven]);
      book.ask(tx, payment, plan.key);
    });
    const arriving = nextReceived(bob.wallet, ({ paymentHash }) => paymentHash === payment.paymentHash);
    expect((await alice.ledger.run()).states.succeeded.legs).toBe(1);
    const arrived = await arriving;
    expect(verifySenderProof({ ...arrived, recipient: bob.nodeId })).toMatchObject({
      status: 'valid',
      nodeId: alice.nodeId,
      uncovered: [],
    });
    expect(verifySenderProof({ ...arrived, recipient: alice.nodeId }).status).toBe('invalid');

    const { store, audit, wallet } = bob;
    const given = { store, audit, recipient: bob.nodeId, now: Date.now };
    const issuer = new ReceiptIssuer({ ...given, sign: (text) => wallet.signMessage(text) });
    const pay = async (leg: LegPlan) => {
      bob.ledger.plan([leg]);
      await bob.ledger.run({ keys: [leg.key] });
    };
    const returning = nextReceived(alice.wallet, ({ amountMsat }) => amountMsat === 1_000n);
    expect(await new ReceiptReturner({ ...given, issuer, pay }).handle(arrived)).toBe('returned');
    const accepted = book.acceptPayment(await returning);
    expect(accepted).toMatchObject({
      status: 'stored',
      receipt: { sender: alice.nodeId, amountMsat: '21000' },
    });
    expect(verifyReceipt(book.get(payment.paymentHash), { expected: { recipient: bob.nodeId } }).status).toBe(
      'valid',
    );
    for (const here of [alice, bob]) expect(verifyAudit(here.store).status).toBe('intact');
  });

  test("a node's signature of such a text is what LDK makes and takes", async () => {
    await loadLdk();
    const text = `keysend-sender/1 payment_hash=${'ab'.repeat(32)} recipient=${bob.nodeId} amount_msat=1`;
    const signature = await alice.wallet.signMessage(text);
    // The bindings' booleans are numbers.
    const takes = (of: string) =>
      Boolean(UtilMethods.constructor_verify(utf8ToBytes(of), signature, hexToBytes(alice.nodeId)));
    expect([takes(text), takes(`${text} `)]).toEqual([true, false]);
    const found = UtilMethods.constructor_recover_pk(utf8ToBytes(text), signature);
    expect(found instanceof Result_PublicKeySecp256k1ErrorZ_OK && bytesToHex(found.res)).toBe(alice.nodeId);
  });
});

test('LDK makes the signatures of the vectors', async () => {
  await loadLdk();
  const file = new URL('../../../keysend/fixtures/proofs.json', import.meta.url);
  const { senderProofs, receipts } = JSON.parse(readFileSync(file, 'utf8'));
  for (const { text, privateKey, signature } of senderProofs.valid) {
    expect(UtilMethods.constructor_sign(utf8ToBytes(text), hexToBytes(privateKey))).toBe(signature);
  }
  for (const { text, privateKey, receipt } of receipts.valid) {
    expect(UtilMethods.constructor_sign(utf8ToBytes(text), hexToBytes(privateKey))).toBe(receipt.signature);
  }
});
