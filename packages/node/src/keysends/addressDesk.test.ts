import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import type { HintHop } from '@rivulet/core/graph';
import { signMessage } from '@rivulet/core/tower';
import { type Fetcher, keysendAddressAnswer, resolveKeysendAddress } from '@rivulet/keysend';
import { describe, expect, test } from 'vitest';
import { silentLogger } from '../logging/index.js';
import { AddressDesk } from './addressDesk.js';

const key = new Uint8Array(32).fill(7);
const nodeId = bytesToHex(secp256k1.publicKey(key));
const peer = secp256k1.publicKey(new Uint8Array(32).fill(9));
const startMs = 1_800_000_000_000;
const address = { enabled: true, host: '127.0.0.1', port: 0, names: ['carol'] };

const hop = (change: Partial<HintHop> = {}): HintHop => ({
  nodeId: peer,
  shortChannelId: (100n << 40n) | 1n,
  feeBaseMsat: 1_000,
  feeProportionalMillionths: 100,
  cltvExpiryDelta: 80,
  htlcMinimumMsat: 1n,
  htlcMaximumMsat: 990_000_000n,
  ...change,
});

function desk(change: { hints?: () => HintHop[][]; accept?: boolean; domain?: string | undefined } = {}) {
  const { hints = () => [[hop()]], accept = true } = change;
  const signed: string[] = [];
  const clock = { nowMs: startMs };
  const domain = 'domain' in change ? change.domain : 'example.com';
  const made = new AddressDesk({
    config: {
      address: { ...address, ...(domain === undefined ? {} : { domain }) },
      keysend: { accept, minAmountMsat: 1n },
    },
    node: {
      nodeId,
      payments: {
        invoices: { hints },
        signMessage: (text) => {
          signed.push(text);
          return signMessage(utf8ToBytes(text), key);
        },
      },
    },
    now: () => clock.nowMs,
    logger: silentLogger,
  });
  return { desk: made, signed, clock };
}

/** What somebody who asks for the address understands. */
async function understood(made: AddressDesk, nowMs = startMs) {
  const account = await made.accountOf('carol');
  const { body } = keysendAddressAnswer({ name: 'carol', accounts: () => account, nowMs });
  const fetcher: Fetcher = async (url) => ({
    status: 200,
    url,
    contentType: 'application/json',
    body: utf8ToBytes(body),
  });
  const found = await resolveKeysendAddress('carol@example.com', { fetcher, now: () => nowMs });
  if (found.type !== 'keysend') throw new Error('no keysend');
  return found;
}

describe('whom a name stands for', () => {
  test('nobody, where it is not ours or no keysends are taken', async () => {
    expect(await desk().desk.accountOf('dave')).toBeUndefined();
    expect(await desk({ accept: false }).desk.accountOf('carol')).toBeUndefined();
  });

  test('our node alone, where it is found without hints or the domain is not known', async () => {
    expect(await desk({ hints: () => [] }).desk.accountOf('carol')).toEqual({ nodeId });
    expect(await desk({ domain: undefined }).desk.accountOf('carol')).toEqual({ nodeId });
  });

  test('hints that who asks believes; signed once, until terms change or they become old', async () => {
    let terms = hop();
    const { desk: made, signed, clock } = desk({ hints: () => [[terms]] });
    expect((await understood(made)).hints).toEqual([[terms]]);
    await made.accountOf('carol');
    expect(signed).toHaveLength(1);
    terms = hop({ feeBaseMsat: 2_000 });
    expect((await understood(made)).hints).toEqual([[terms]]);
    expect(signed).toHaveLength(2);
    clock.nowMs += 4 * 86_400_000;
    expect((await understood(made, clock.nowMs)).hints).toEqual([[terms]]);
    expect(signed).toHaveLength(3);
    // A clock that was set right again.
    clock.nowMs -= 30 * 86_400_000;
    await made.accountOf('carol');
    expect(signed).toHaveLength(4);
  });

  test('of many ways those that an answer has room for', async () => {
    const ways = Array.from({ length: 20 }, (_, i) => [hop({ shortChannelId: BigInt(i + 1) << 40n })]);
    const tooLong = [hop(), hop(), hop(), hop(), hop()];
    const { desk: made } = desk({ hints: () => [tooLong, ...ways] });
    expect((await understood(made)).hints).toEqual(ways.slice(0, 8));
  });

  test('a way whose peer says more than there are bitcoins is one all the same', async () => {
    const { desk: made } = desk({ hints: () => [[hop({ htlcMaximumMsat: 2n ** 64n - 1n })]] });
    expect((await understood(made)).hints?.[0]?.[0]?.htlcMaximumMsat).toBe(2_100_000_000_000_000_000n);
  });

  test('our node alone, where hints cannot be signed', async () => {
    const { desk: made } = desk({ hints: () => [[hop({ cltvExpiryDelta: 70_000 })]] });
    expect(await made.accountOf('carol')).toEqual({ nodeId });
  });
});
