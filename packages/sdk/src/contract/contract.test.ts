import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type EndpointName, endpoints } from './endpoints.js';
import { msat, records, sat } from './fields.js';
import { nodeEvent } from './nodeEvent.js';

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
    },
    response: { ...payment, direction: 'outgoing', nodeId: id, feeMsat: '12' },
  },
  payments: {
    request: { direction: 'incoming', limit: '10', before: '7' },
    response: { payments: [payment], next: 3 },
  },
  mine: { request: { blocks: 6 }, response: { height: 107, blockHashes: [hash] } },
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

test('custom records are a map of types to bytes', () => {
  expect(records.parse({ '34349334': '6869' })).toEqual(new Map([[34349334n, Uint8Array.of(0x68, 0x69)]]));
  expect(records.safeParse({ '0x1': '' }).success).toBe(false);
  expect(records.safeParse({ '1': '6' }).success).toBe(false);
});
