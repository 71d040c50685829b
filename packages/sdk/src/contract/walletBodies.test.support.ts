const txidHex = 'ab'.repeat(32);
const coin = `${txidHex}:1`;
const outputs = [{ address: 'bcrt1qexample', valueSat: '2100000000000000', ours: false }];
const spending = {
  recipients: [{ address: 'bcrt1qexample', amountSat: '30000' }],
  allTo: 'bcrt1qother',
  feeratePerKw: 500,
  coins: [coin],
  maxFeeSat: '1000',
  includingReserve: true,
};
const psbtView = {
  txidHex,
  inputs: [{ coin, valueSat: '5', ours: true, signed: false }],
  outputs,
  netSat: '-30141',
  feeSat: '141',
  complete: false,
};
const publication = { accepted: false, message: 'min relay fee not met' };

/** A request and an answer of each endpoint of the wallet. */
export const walletBodies = {
  send: {
    request: { ...spending, label: 'rent', dryRun: true, idempotencyKey: 'rent 7' },
    response: {
      txidHex,
      feeSat: '141',
      feeratePerKw: 250,
      coins: [coin],
      outputs,
      keptSat: '10000',
      repeated: false,
      ...publication,
    },
  },
  bumpTransaction: {
    request: { txidHex, feeratePerKw: 500, maxFeeSat: '7', cancel: true, dryRun: true },
    response: {
      txidHex,
      how: 'child',
      feeSat: '7',
      feeratePerKw: 500,
      feesUnknown: true,
      outputs,
      ...publication,
    },
  },
  coins: {
    request: {},
    response: {
      coins: [
        {
          coin,
          valueSat: '5',
          address: 'bcrt1qexample',
          path: "m/86'/1'/0'/0/0",
          state: 'locked',
          confirmations: 3,
          reason: 'locked by its owner',
          label: 'gift',
        },
      ],
    },
  },
  lockCoins: { request: { coins: [coin], locked: true }, response: { changed: 1 } },
  transactions: {
    request: {},
    response: {
      transactions: [
        {
          txidHex,
          state: 'replaced',
          kind: 'send',
          height: 7,
          confirmations: 0,
          netSat: '-5',
          feeSat: '5',
          label: 'rent',
          replacedByTxidHex: txidHex,
          createdAtMs: 1,
          note: 'refused',
          outputs,
        },
      ],
    },
  },
  setLabel: { request: { of: txidHex, label: 'rent' }, response: { type: 'tx', ref: txidHex } },
  exportLabels: { request: {}, response: { lines: '{"type":"tx"}\n' } },
  importLabels: { request: { lines: '{}' }, response: { labels: 1, coins: 0, cut: 0, ignored: 2 } },
  createPsbt: {
    request: { ...spending, version: 2, unlocked: true },
    response: { psbt: 'cHNidP8=', ...psbtView },
  },
  showPsbt: { request: { psbt: 'cHNidP8=' }, response: psbtView },
  signPsbt: {
    request: { psbt: 'cHNidP8=', foreignInputs: true, maxFeeSat: '7' },
    response: { psbt: 'cHNidP8=', ...psbtView },
  },
  broadcastPsbt: {
    request: { psbt: 'cHNidP8=', label: 'rent', maxFeeSat: '7', dryRun: true },
    response: { ...psbtView, rawTx: '0200', ...publication },
  },
} as const;
