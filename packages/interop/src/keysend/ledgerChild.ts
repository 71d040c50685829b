import { randomBytes } from 'node:crypto';
import {
  LegLedger,
  type LegPlan,
  type PaymentOutcome,
  type Wallet,
  type WalletCapabilities,
} from '@rivulet/keysend';
import { openToolkit } from '@rivulet/keysend/sqlite';

// A process that pays a group of payments over a wallet that its parent has: it can be killed at any time.

/** What the wallet of the parent is asked; amounts as text. */
export interface WalletCall {
  readonly id: number;
  readonly method: 'keysend' | 'lookup';
  readonly key: string;
  readonly paymentHash: string;
}

/** What it says. */
export interface WalletAnswer {
  readonly id: number;
  readonly outcome: PaymentOutcome | undefined;
}

const [path = '', repeats = '', count = '0'] = process.argv.slice(2);
const { store, close } = openToolkit({ path });
const waiting = new Map<number, (outcome: PaymentOutcome | undefined) => void>();
let calls = 0;

process.on('message', ({ id, outcome }: WalletAnswer) => {
  waiting.get(id)?.(outcome);
  waiting.delete(id);
});

function ask(call: Omit<WalletCall, 'id'>): Promise<PaymentOutcome | undefined> {
  const id = calls++;
  process.send?.({ id, ...call } satisfies WalletCall);
  return new Promise((resolve) => waiting.set(id, resolve));
}

const capabilities = {
  keysend: true,
  sendsRecords: true,
  repeats: repeats as WalletCapabilities['repeats'],
  receives: 'none',
  holds: false,
  signs: false,
  paysInvoices: false,
  takesHints: false,
  limitsFees: true,
} as const;

const wallet = {
  kind: 'rivulet',
  capabilities: async () => capabilities,
  info: async () => ({ kind: 'rivulet', nodeId: `02${'aa'.repeat(32)}` }),
  keysend: async ({ key, preimage }: { key: string; preimage: Uint8Array }) =>
    (await ask({
      method: 'keysend',
      key,
      paymentHash: Buffer.from(preimage).toString('hex'),
    })) as PaymentOutcome,
  lookup: ({ key, paymentHash }: { key: string; paymentHash: string }) =>
    ask({ method: 'lookup', key, paymentHash }),
} as unknown as Wallet;

const ledger = new LegLedger({
  store,
  wallet,
  secret: new Uint8Array(32).fill(1),
  now: Date.now,
  schedule: (delayMs, run) => {
    if (delayMs === 0) {
      const immediate = setImmediate(run);
      return () => clearImmediate(immediate);
    }
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  resolver: {
    resolve: async ({ address }) => ({ type: 'keysend', nodeId: address, records: new Map() }),
    invoice: () => Promise.reject(new Error('nobody is paid by invoices')),
  },
  owner: randomBytes(8).toString('hex'),
  // The parent starts one after the other.
  isOwnerAlive: () => false,
  lookupGraceMs: 1_000,
});

const plans = Array.from(
  { length: Number(count) },
  (_, n): LegPlan => ({
    key: `leg-${n}`,
    group: 'g',
    recipient: { type: 'node', address: `02${n.toString(16).padStart(64, '0')}` },
    amountMsat: 1_000n + BigInt(n),
    records: new Map([[7_629_169n, new Uint8Array(200)]]),
  }),
);
ledger.plan(plans);
const started = performance.now();
const { states } = await ledger.run({ concurrency: 100 });
const ms = performance.now() - started;
process.send?.({ done: true, succeeded: states.succeeded.legs, ms });
close();
process.disconnect();
