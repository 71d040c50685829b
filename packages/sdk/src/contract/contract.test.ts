import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type EndpointName, endpoints } from './endpoints.js';
import { msat, records, sat } from './fields.js';
import { nodeEvent } from './nodeEvent.js';
import { towerBodies } from './towerBodies.test.support.js';
import { walletBodies } from './walletBodies.test.support.js';

const id = `02${'ab'.repeat(32)}`;
const hash = 'cd'.repeat(32);

const channel = {
  channelId: hash,
  shortChannelId: '103x1x0',
  nodeId: id,
  state: 'open',
  link: 'online',
  usable: true,
  opener: 'local',
  channelType: 'anchors',
  announced: false,
  capacitySat: '1000000',
  localMsat: '900000000',
  remoteMsat: '100000000',
  spendableMsat: '880000000',
  receivableMsat: '90000000',
  pendingHtlcs: 0,
  feeratePerKw: 2500,
  fundingTxidHex: hash,
  fundingOutputIndex: 1,
};

const payment = {
  sequence: 7,
  direction: 'incoming',
  status: 'succeeded',
  paymentHash: hash,
  preimage: hash,
  amountMsat: '21000',
  feeMsat: '0',
  createdAtMs: 1_790_000_000_000,
  records: { '34349334': '68656c6c6f', '5482373485': '' },
  message: 'hello',
};

const invoice = {
  sequence: 1,
  state: 'open',
  paymentHash: hash,
  invoice: 'lnbcrt10u1example',
  description: 'coffee',
  amountMsat: '1000000',
  createdAtMs: 1_790_000_000_000,
  expiresAtMs: 1_790_003_600_000,
};
const policy = {
  feeBaseMsat: 1000,
  feeProportionalMillionths: 100,
  cltvExpiryDelta: 80,
  htlcMinimumMsat: '1',
  htlcMaximumMsat: '990000000',
};
const route = {
  hops: [
    {
      nodeId: id,
      alias: 'brook',
      shortChannelId: '103x1x0',
      amountMsat: '1001',
      feeMsat: '0',
      delayBlocks: 160,
    },
  ],
  amountMsat: '1000',
  feeMsat: '1',
  delayBlocks: 160,
  probability: 0.97,
};

/** One body of each endpoint, as it is on the wire. */
const bodies: { readonly [N in EndpointName]: { request: object; response: object } } = {
  info: {
    request: {},
    response: {
      nodeId: id,
      alias: 'bob',
      version: '0.1.0',
      crypto: 'native',
      network: 'regtest',
      blockHeight: 101,
      blockHash: hash,
      synced: true,
      listening: [{ host: '127.0.0.1', port: 9735 }],
      peers: 1,
      channels: { usable: 1, open: 1, pending: 0, closing: 0 },
      keysend: { accept: true, minAmountMsat: '1000' },
    },
  },
  health: {
    request: {},
    response: {
      ok: false,
      warnings: [{ code: 'reserve', message: '20000 sat should be kept' }],
      chain: {
        backend: 'esplora',
        state: 'ok',
        sinceMs: 1_700_000_000_000,
        tipHeight: 101,
        height: 101,
        detail: 'all blocks are read',
        servers: [{ url: 'https://esplora.example/api', state: 'ok', detail: 'answers' }],
      },
      disk: { state: 'low', freeBytes: 400_000_000, reserveHeld: true },
      reserve: { neededSat: '20000', haveSat: '0' },
      backups: [{ path: '/mnt/stick/channels.backup', channels: 2, writtenAtMs: 1_700_000_000_000 }],
      peerBackups: [{ nodeId: id, connected: true, confirmed: true, holdsMore: false }],
      databaseCopy: { folder: '/mnt/copy', state: 'in_step', sinceMs: 1_700_000_000_000, sameDisk: false },
      checks: {
        atMs: 1_700_000_000_000,
        findings: [{ code: 'wallet_behind', message: 'the wallet is behind', channelId: hash }],
      },
    },
  },
  connect: {
    request: { nodeId: id, host: 'localhost', port: 9735 },
    response: { nodeId: id, inbound: false, features: '0801' },
  },
  disconnect: { request: { nodeId: id }, response: { disconnected: true } },
  peers: {
    request: {},
    response: {
      peers: [{ nodeId: id, host: '::1', port: 9735, inbound: true, features: '', channels: 2 }],
    },
  },
  openChannel: {
    request: { nodeId: id, capacitySat: '1000000', pushSat: '5', channelType: 'anchors', announce: false },
    response: {
      channelId: hash,
      fundingTxidHex: hash,
      fundingOutputIndex: 0,
      state: 'awaiting_ready',
      minimumDepth: 3,
    },
  },
  closeChannel: {
    request: { channelId: hash, force: true },
    response: { channelId: hash, state: 'failed', closingTxidHex: hash },
  },
  channels: { request: {}, response: { channels: [channel] } },
  newAddress: { request: {}, response: { address: 'bcrt1qexample' } },
  descriptors: { request: {}, response: { descriptors: ['tr(tpub/0/*)#abcdefgh'] } },
  balance: {
    request: {},
    response: {
      onchain: { confirmedSat: '5000000000', unconfirmedSat: '0' },
      channels: { localMsat: '1', remoteMsat: '2', pendingMsat: '3', closingMsat: '4' },
    },
  },
  keysend: {
    request: {
      nodeId: id,
      amountMsat: '1500',
      message: 'hi',
      records: { '7629169': '7b7d' },
      idempotencyKey: 'k1',
      preimage: hash,
      hints: [
        [
          {
            nodeId: id,
            shortChannelId: '1x2x3',
            feeBaseMsat: 1,
            feeProportionalMillionths: 2,
            cltvExpiryDelta: 3,
          },
        ],
      ],
    },
    response: { ...payment, direction: 'outgoing', nodeId: id, feeMsat: '12' },
  },
  payments: {
    request: { direction: 'incoming', limit: '10', before: '7' },
    response: { payments: [{ ...payment, kind: 'invoice' }, payment], next: 3 },
  },
  payment: {
    request: { paymentHash: hash, direction: 'outgoing' },
    response: { ...payment, direction: 'outgoing', nodeId: id, feeMsat: '12' },
  },
  signMessage: { request: { message: 'hi' }, response: { nodeId: id, signature: 'ybndrfg8' } },
  heldKeysends: {
    request: {},
    response: {
      keysends: [
        {
          paymentHash: hash,
          amountMsat: '21000',
          channelId: hash,
          records: { '7629169': '7b7d' },
          rule: 'amount_above',
          heldAtMs: 1_790_000_000_000,
          untilMs: 1_790_000_600_000,
        },
      ],
    },
  },
  keysendPolicy: {
    request: {},
    response: {
      policy: { version: 1, minimumMsat: '1000' },
      statistics: { accepted: 1, held: 0, refused: 2, refusedBy: { minimum: 2 }, heldBy: {} },
    },
  },
  setKeysendPolicy: {
    request: { policy: { version: 1, minimumMsat: '1000' } },
    response: {
      policy: { version: 1, minimumMsat: '1000' },
      statistics: { accepted: 0, held: 0, refused: 0, refusedBy: {}, heldBy: {} },
    },
  },
  decideKeysend: { request: { paymentHash: hash, accept: true }, response: {} },
  createInvoice: {
    request: { amountMsat: '1000000', description: 'coffee', expirySeconds: 3600, hold: true },
    response: invoice,
  },
  invoices: { request: { limit: '10', before: '7' }, response: { invoices: [invoice], next: 3 } },
  settleInvoice: {
    request: { paymentHash: hash, preimage: hash },
    response: { ...invoice, state: 'settled', preimage: hash, receivedMsat: '1000000' },
  },
  cancelInvoice: { request: { paymentHash: hash }, response: { ...invoice, state: 'cancelled' } },
  decodeInvoice: {
    request: { invoice: 'lnbcrt10u1example' },
    response: {
      network: 'regtest',
      nodeId: id,
      paymentHash: hash,
      amountMsat: '1000000',
      description: 'coffee',
      createdAtMs: 1_790_000_000_000,
      expiresAtMs: 1_790_003_600_000,
      expired: false,
      minFinalCltvDelta: 18,
      features: '024100',
      takesParts: true,
      hints: [
        [
          {
            nodeId: id,
            shortChannelId: '1x2x3',
            feeBaseMsat: 1,
            feeProportionalMillionths: 2,
            cltvExpiryDelta: 3,
          },
        ],
      ],
    },
  },
  pay: {
    request: { invoice: 'lnbcrt10u1example', maxFeeMsat: '1000', maxParts: 4, waitSeconds: 5 },
    response: { ...payment, direction: 'outgoing', nodeId: id, feeMsat: '12', parts: 2 },
  },
  route: {
    request: { nodeId: id, amountMsat: '1000', probe: true },
    response: {
      routes: [route],
      amountMsat: '1000',
      feeMsat: '1',
      delayBlocks: 160,
      probability: 0.97,
      probe: { reached: true, message: 'it would arrive' },
    },
  },
  rebalance: {
    request: { fromChannelId: hash, toChannelId: hash, amountMsat: '1000', maxFeePpm: 500 },
    response: { ...payment, direction: 'outgoing', nodeId: id, feeMsat: '12' },
  },
  setPolicy: {
    request: { channelId: hash, feeBaseMsat: 0 },
    response: { policies: [{ channelId: hash, policy }] },
  },
  forwards: {
    request: { hours: '24' },
    response: {
      pending: 1,
      feeMsat: '7',
      settled: 2,
      totals: [
        {
          fromMs: 1_790_000_000_000,
          incomingChannelId: hash,
          outgoingChannelId: hash,
          settled: 2,
          failed: 1,
          amountMsat: '2000',
          feeMsat: '7',
        },
      ],
    },
  },
  network: { request: {}, response: { nodes: 3, channels: 2, synced: true, pending: 0 } },
  networkNode: {
    request: { nodeId: id },
    response: {
      nodeId: id,
      alias: 'lake',
      addresses: ['127.0.0.1:9735'],
      features: '0801',
      keysend: true,
      channels: [
        { shortChannelId: '1x2x3', nodeId: id, capacitySat: '5', policy: { ...policy, disabled: false } },
      ],
    },
  },
  mine: { request: { blocks: 6 }, response: { height: 107, blockHashes: [hash] } },
  abandonChannel: {
    request: { channelId: hash, feeratePerKw: 2500, maxFeeSat: '60000' },
    response: {
      channelId: hash,
      txidHex: hash,
      feeSat: '700',
      accepted: false,
      message: 'the fee is too low',
    },
  },
  ...walletBodies,
  ...towerBodies,
  stop: { request: {}, response: {} },
};

/** As JSON would carry it. */
function overTheWire(schema: z.ZodType, body: object): unknown {
  return JSON.parse(JSON.stringify(z.encode(schema, schema.parse(body))));
}

describe('the contract', () => {
  test.each(Object.keys(endpoints) as EndpointName[])('%s comes back as it was sent', (name) => {
    const { request, response } = bodies[name];
    expect(overTheWire(endpoints[name].request, request)).toEqual(request);
    expect(overTheWire(endpoints[name].response, response)).toEqual(response);
  });

  test('events come back as they were sent', () => {
    for (const event of [
      { type: 'payment_received', payment },
      { type: 'invoice_held', invoice },
      { type: 'channel_changed', channel },
      { type: 'peer_disconnected', nodeId: id, reason: 'closed' },
      { type: 'block', height: 5, blockHash: hash },
    ]) {
      expect(overTheWire(nodeEvent, event)).toEqual(event);
    }
  });

  test('paths are unique, and requests refuse fields that they do not know', () => {
    const all = Object.values(endpoints);
    expect(new Set(all.map(({ path }) => path)).size).toBe(all.length);
    for (const { request } of all) expect(request.safeParse({ surprise: 1 }).success).toBe(false);
  });
});

describe('amounts', () => {
  test('survive beyond the integers of JSON numbers', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2_100_000_000_000_000_000n), (amount) => {
        expect(msat.parse(z.encode(msat, amount))).toBe(amount);
      }),
    );
  });

  test.each(['-1', '1.5', '01', '', ' 1', '1e3', '0x10', '2100000000000000001', '99999999999999999999'])(
    'are not %j',
    (text) => {
      expect(msat.safeParse(text).success).toBe(false);
    },
  );

  test('have no more satoshi than there are', () => {
    expect(sat.parse('2100000000000000')).toBe(2_100_000_000_000_000n);
    expect(sat.safeParse('2100000000000001').success).toBe(false);
  });
});

test.each([0, 0xffff])(
  'terms that other nodes announce may be any that gossip can carry (%i blocks)',
  (delta) => {
    const announced = { ...policy, cltvExpiryDelta: delta, disabled: false };
    const body = bodies.networkNode.response as { channels: object[] };
    const channels = body.channels.map((channel) => ({ ...channel, policy: announced }));
    expect(overTheWire(endpoints.networkNode.response, { ...body, channels })).toMatchObject({ channels });
  },
);

test('descriptions are measured in bytes', () => {
  const { request } = endpoints.createInvoice;
  const drops = '💧'.repeat(159);
  expect(request.safeParse({ description: `${drops}abc` }).success).toBe(true);
  expect(request.safeParse({ description: `${drops}abcd` }).error?.issues[0]?.message).toMatch(/639 bytes/);
});

test('custom records are a map of types to bytes', () => {
  expect(records.parse({ '34349334': '6869' })).toEqual(new Map([[34349334n, Uint8Array.of(0x68, 0x69)]]));
  expect(records.safeParse({ '0x1': '' }).success).toBe(false);
  expect(records.safeParse({ '1': '6' }).success).toBe(false);
  expect(records.safeParse({ x: '' }).error?.issues).toHaveLength(1);
  expect(records.parse({ '18446744073709551615': '' }).size).toBe(1);
  expect(records.safeParse({ '18446744073709551616': '' }).error?.issues[0]?.message).toMatch(/64 bits/);
});
