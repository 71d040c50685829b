import { bytesToHex } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import { KeysendError, type LegLedger, type LegPlan, memoryStore, type ToolkitStore } from '@rivulet/keysend';
import { AuditLog } from '@rivulet/keysend/compliance';
import { createReceiptRequest, ReceiptIssuer, senderProofType, signAsNode } from '@rivulet/keysend/proof';
import { keyedBoosts, type NewBoost } from '@rivulet/keysend/receiving';
import { StorageError } from '@rivulet/storage';
import { beforeEach, expect, test } from 'vitest';
import { silentLogger } from '../logging/index.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { ReceiptDesk } from './receiptDesk.js';

const key = new Uint8Array(32).fill(7);
const recipient = bytesToHex(secp256k1.publicKey(key));
const replyTo = bytesToHex(secp256k1.publicKey(new Uint8Array(32).fill(9)));
const source = 'own';

let store: ToolkitStore;
let boosts: ReturnType<typeof keyedBoosts>;
let scheduler: ManualScheduler;
let planned: string[];
/** What the ledger says to a plan. */
let refusal: (leg: LegPlan) => Error | undefined;
/** How its runs end. */
let runs: { count: number; error: Error | undefined };

beforeEach(() => {
  store = memoryStore();
  boosts = keyedBoosts(store);
  scheduler = new ManualScheduler();
  planned = [];
  refusal = () => undefined;
  runs = { count: 0, error: undefined };
});

function openDesk(): ReceiptDesk {
  const audit = new AuditLog({ store });
  const now = () => 1_800_000_000_000 + scheduler.now();
  const ledger = {
    plan: ([leg]: readonly LegPlan[]) => {
      const error = leg === undefined ? undefined : refusal(leg);
      if (error !== undefined) throw error;
      if (leg !== undefined && !planned.includes(leg.key)) planned.push(leg.key);
    },
    run: async () => {
      runs.count++;
      if (runs.error !== undefined) throw runs.error;
    },
  } as unknown as LegLedger;
  return new ReceiptDesk({
    store,
    boosts,
    source,
    issuer: new ReceiptIssuer({ store, recipient, sign: async (text) => signAsNode(text, key), audit, now }),
    audit,
    recipient,
    openLedger: () => ledger,
    now,
    scheduler,
    logger: silentLogger,
  });
}

/** Takes payments that ask for receipts into the store; from another wallet where that is named. */
function arrive(digits: string, from = source): void {
  const arrived = [...digits].map((digit): NewBoost => {
    const records = new Map<bigint, Uint8Array>();
    records.set(senderProofType, createReceiptRequest(records, { nonce: '5e'.repeat(16), replyTo }));
    return {
      source: from,
      paymentHash: digit.repeat(64),
      amountMsat: 50_000n,
      receivedAtMs: 1_800_000_000_000,
      kind: 'payment',
      sender: {},
      show: {},
      episode: {},
      remote: {},
      app: {},
      share: {},
      records,
      problems: [],
    };
  });
  store.transaction((tx) => boosts.ingest(tx, { source: from, boosts: arrived }));
}

const keyOf = (digit: string) => `receipt/${digit.repeat(64)}`;

/** Lets all that is due at once happen. */
async function settle(): Promise<void> {
  for (let i = 0; i < 500; i++) await Promise.resolve();
}

async function pass(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 1_000) {
    scheduler.advance(1_000);
    await settle();
  }
}

test('each payment that asks gets one, in order, and those of other wallets none', async () => {
  arrive('ab');
  arrive('c', 'another wallet');
  arrive('d');
  const desk = openDesk();
  desk.notify();
  desk.notify();
  await settle();
  expect(planned).toEqual([keyOf('a'), keyOf('b'), keyOf('d')]);
  await desk.stop();
  // The next one goes on where this one ended.
  planned = [];
  const next = openDesk();
  arrive('e');
  next.notify();
  await settle();
  expect(planned).toEqual([keyOf('e')]);
  await next.stop();
});

test('one that cannot be made now is made later, before those after it', async () => {
  arrive('ab');
  refusal = () => new StorageError('disk_full', 'no room');
  const desk = openDesk();
  desk.notify();
  await settle();
  await pass(3 * 3_600_000);
  expect(planned).toEqual([]);
  refusal = () => undefined;
  arrive('c');
  desk.notify();
  await pass(300_000);
  expect(planned).toEqual([keyOf('a'), keyOf('b'), keyOf('c')]);
  await desk.stop();
  expect(scheduler.pending).toBe(0);
});

test('one that cannot be made at all does not keep those after it', async () => {
  arrive('ab');
  refusal = ({ key: name }) =>
    name === keyOf('a') ? new KeysendError('budget_exceeded', 'no more of that') : undefined;
  const desk = openDesk();
  desk.notify();
  await settle();
  expect(planned).toEqual([keyOf('b')]);
  await desk.stop();
});

test('a fault of ours with one keeps those after it for some tries, and not for ever', async () => {
  arrive('ab');
  let tries = 0;
  refusal = ({ key: name }) => {
    if (name !== keyOf('a')) return undefined;
    tries++;
    return new TypeError('a fault');
  };
  const desk = openDesk();
  desk.notify();
  await settle();
  expect(tries).toBe(1);
  await pass(3_600_000);
  expect(tries).toBe(10);
  expect(planned).toEqual([keyOf('b')]);
  await desk.stop();
});

test('a ledger whose store fails is run again, less and less often', async () => {
  runs.error = new StorageError('disk_full', 'no room');
  const desk = openDesk();
  desk.notify();
  await settle();
  expect(runs.count).toBe(1);
  await pass(3_600_000);
  expect(runs.count).toBeGreaterThan(8);
  expect(runs.count).toBeLessThan(25);
  runs.error = undefined;
  await pass(300_000);
  const { count } = runs;
  await pass(3_600_000);
  expect(runs.count).toBe(count);
  await desk.stop();
  expect(scheduler.pending).toBe(0);
});
