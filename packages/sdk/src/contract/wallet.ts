import { z } from 'zod';
import { hex, sat, timeMs, txidHex } from './fields.js';

/** Satoshi with a sign: what a transaction changed. */
const signedSat = z.codec(
  z.string().regex(/^(0|-?[1-9][0-9]{0,16})$/, 'expected a whole number of satoshi as a string of digits'),
  z.bigint(),
  { decode: (text) => BigInt(text), encode: (value) => value.toString() },
);

/** An unspent output as people write it: `txid:index`. */
const outpoint = z
  .string()
  .regex(/^[0-9a-f]{64}:(0|[1-9][0-9]{0,8})$/, 'expected a coin: a transaction id, a colon and an index');

const address = z.string().min(1).max(100);
/** Satoshis a 1000 weight units: 250 are 1 sat a virtual byte. */
const feeratePerKw = z.int().min(1).max(10_000_000);
const label = z.string().max(255);
/** BIP 174, in base64. */
const psbt = z
  .string()
  .max(1_400_000)
  .regex(/^[A-Za-z0-9+/]+={0,2}$/, 'expected a PSBT in base64');

const none = z.strictObject({});

const output = z.object({
  /** Absent where its script has none. */
  address: address.optional(),
  valueSat: sat,
  /** Whether it comes back to the wallet. */
  ours: z.boolean(),
});

const spending = {
  /** What is paid to whom. */
  recipients: z.array(z.strictObject({ address, amountSat: sat })).max(200),
  /** Who gets all that is left. */
  allTo: address.optional(),
  /** An estimate of the chain for about six blocks where it is absent. */
  feeratePerKw: feeratePerKw.optional(),
  /** Spends these coins, all of them and no others. */
  coins: z.array(outpoint).min(1).max(1_000).optional(),
  /** The most that it may cost; without it, what is surely a mistake is refused. */
  maxFeeSat: sat.optional(),
  /** Spends also what is kept for the fees of channels. */
  includingReserve: z.boolean().optional(),
};

/** Whether it is in a mempool; if it is not, it is stored and sent again at every block. */
const publication = {
  accepted: z.boolean(),
  /** Why it is not accepted yet. */
  message: z.string().optional(),
};

const coin = z.object({
  coin: outpoint,
  valueSat: sat,
  address,
  /** BIP 32 path from the seed. */
  path: z.string(),
  /**
   * `confirmed` and `change` (of our own, unconfirmed) can be spent; `unconfirmed` and `immature` wait for blocks;
   * `locked` by its owner or for a PSBT; `reserved` for a transaction in the making or a claim on chain.
   */
  state: z.enum(['confirmed', 'change', 'unconfirmed', 'immature', 'locked', 'reserved']),
  confirmations: z.int().min(0),
  /** What it is locked or reserved for. */
  reason: z.string().optional(),
  label: label.optional(),
});

const walletTransaction = z.object({
  txidHex,
  /** `replaced` by another of ours, `lost` to a transaction in a block that spends its coins. */
  state: z.enum(['confirmed', 'unconfirmed', 'replaced', 'lost']),
  /** `funding`, `close` and `sweep` are those of channels; a `child` pays the fee of its parent. */
  kind: z.enum(['receive', 'reward', 'send', 'self', 'child', 'cancel', 'funding', 'close', 'sweep']),
  height: z.int().min(0).optional(),
  confirmations: z.int().min(0),
  /** Received minus spent. */
  netSat: signedSat,
  /** Where it is known: all inputs are ours, or those of a channel of ours. */
  feeSat: sat.optional(),
  label: label.optional(),
  replacedByTxidHex: txidHex.optional(),
  createdAtMs: timeMs.optional(),
  /** Why no mempool has it yet. */
  note: z.string().optional(),
  outputs: z.array(output),
});

const psbtView = {
  txidHex,
  inputs: z.array(
    z.object({ coin: outpoint, valueSat: sat.optional(), ours: z.boolean(), signed: z.boolean() }),
  ),
  outputs: z.array(output),
  /** What the wallet loses (below zero) or gains. */
  netSat: signedSat,
  /** Absent where the PSBT does not say what its inputs have. */
  feeSat: sat.optional(),
  /** Whether every input is signed. */
  complete: z.boolean(),
};

export type WalletCoinInfo = z.output<typeof coin>;
export type WalletTransactionInfo = z.output<typeof walletTransaction>;

/** The endpoints of the on-chain wallet. */
export const walletEndpoints = {
  send: {
    method: 'POST',
    path: '/v1/send',
    request: z.strictObject({
      ...spending,
      label: label.optional(),
      /** Says what it would be, and does nothing. */
      dryRun: z.boolean().optional(),
      /** A second request with the same key answers with the transaction of the first and pays nothing. */
      idempotencyKey: z.string().min(1).max(128).optional(),
    }),
    response: z.object({
      txidHex,
      feeSat: sat,
      feeratePerKw: z.int().min(0),
      coins: z.array(outpoint),
      outputs: z.array(output),
      /** What stays for the fees of channels where all was to be sent. */
      keptSat: sat.optional(),
      /** An earlier request with this key made it. */
      repeated: z.boolean(),
      ...publication,
    }),
  },
  bumpTransaction: {
    method: 'POST',
    path: '/v1/bump-transaction',
    request: z.strictObject({
      txidHex,
      feeratePerKw: feeratePerKw.optional(),
      maxFeeSat: sat.optional(),
      /** Pays it all back to us in its place. */
      cancel: z.boolean().optional(),
      dryRun: z.boolean().optional(),
    }),
    response: z.object({
      /** Of what raises the fee. */
      txidHex,
      /** A `replacement` has taken the transaction's place; a `child` pays for it. */
      how: z.enum(['replacement', 'child']),
      feeSat: sat,
      /** Of the transaction together with its child. */
      feeratePerKw: z.int().min(0),
      /** The fee of what it pays for was not known, and taken for nothing. */
      feesUnknown: z.boolean(),
      outputs: z.array(output),
      ...publication,
    }),
  },
  coins: {
    method: 'GET',
    path: '/v1/coins',
    request: none,
    response: z.object({ coins: z.array(coin) }),
  },
  lockCoins: {
    method: 'POST',
    path: '/v1/lock-coins',
    request: z.strictObject({ coins: z.array(outpoint).min(1).max(1_000), locked: z.boolean() }),
    /** How many are locked, or were and are free now. */
    response: z.object({ changed: z.int().min(0) }),
  },
  transactions: {
    method: 'GET',
    path: '/v1/transactions',
    request: none,
    response: z.object({ transactions: z.array(walletTransaction) }),
  },
  setLabel: {
    method: 'POST',
    path: '/v1/set-label',
    request: z.strictObject({
      /** A transaction id, a coin or an address. */
      of: z.string().min(1).max(100),
      /** An empty one removes the label. */
      label,
    }),
    response: z.object({ type: z.enum(['tx', 'output', 'addr']), ref: z.string() }),
  },
  exportLabels: {
    method: 'GET',
    path: '/v1/export-labels',
    request: none,
    /** BIP 329: one JSON object a line. */
    response: z.object({ lines: z.string() }),
  },
  importLabels: {
    method: 'POST',
    path: '/v1/import-labels',
    request: z.strictObject({ lines: z.string().max(60_000) }),
    response: z.object({
      labels: z.int().min(0),
      /** Coins that were locked or unlocked. */
      coins: z.int().min(0),
      /** Labels that were too long, and were cut. */
      cut: z.int().min(0),
      /** Lines that BIP 329 does not have. */
      ignored: z.int().min(0),
    }),
  },
  createPsbt: {
    method: 'POST',
    path: '/v1/create-psbt',
    request: z.strictObject({
      ...spending,
      /** Of BIP 174 (0) or 370 (2). */
      version: z.union([z.literal(0), z.literal(2)]).optional(),
      /** Leaves its coins free for other payments. */
      unlocked: z.boolean().optional(),
    }),
    response: z.object({ psbt, ...psbtView }),
  },
  showPsbt: {
    method: 'POST',
    path: '/v1/show-psbt',
    request: z.strictObject({ psbt }),
    response: z.object(psbtView),
  },
  signPsbt: {
    method: 'POST',
    path: '/v1/sign-psbt',
    request: z.strictObject({
      psbt,
      /** Agrees to inputs of others. */
      foreignInputs: z.boolean().optional(),
      maxFeeSat: sat.optional(),
    }),
    response: z.object({ psbt, ...psbtView }),
  },
  broadcastPsbt: {
    method: 'POST',
    path: '/v1/broadcast-psbt',
    request: z.strictObject({
      psbt,
      label: label.optional(),
      maxFeeSat: sat.optional(),
      /** Gives the finished transaction and keeps it to itself. */
      dryRun: z.boolean().optional(),
    }),
    response: z.object({
      ...psbtView,
      /** The signed transaction. */
      rawTx: hex(),
      ...publication,
    }),
  },
} as const;
