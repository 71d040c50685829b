import { sha256 } from '@rivulet/core/crypto';
import { createClient } from '@rivulet/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import { eclairWallet } from './eclair/index.js';
import type { WalletFetch } from './http/index.js';
import { lndWallet } from './lnd/index.js';
import { rivuletWallet } from './rivulet/index.js';
import type { KeysendRequest, Wallet } from './wallet.js';
import { ManualSchedule } from './walletWorld.test.support.js';

const request: KeysendRequest = {
  nodeId: `03${'cd'.repeat(32)}`,
  amountMsat: 21_000n,
  records: new Map(),
  key: 'a',
  preimage: sha256(Uint8Array.of(1)),
  timeoutSeconds: 1,
};

/** What a server may say that has paid already: anything but its own word that it did not. */
const anything = fc.oneof(
  fc.string(),
  fc.json(),
  fc.constantFrom(
    '',
    '{}',
    '[]',
    'null',
    '{"result":{}}',
    '{"result":{"payment_hash":"00","status":"IN_FLIGHT"}}',
    '{"result":{"payment_hash":"00","status":"UNKNOWN"}}',
    '{"result":{"payment_hash":1,"status":"SUCCEEDED"}}',
    '{"error":"x"}',
    '{"code":"2","message":"x"}',
    '"not-an-id"',
  ),
);

/** Statuses that proxies give to requests that were carried out behind them. */
const afterwards = fc.oneof(
  fc.constantFrom(200, 201, 206, 303, 408, 409, 418, 500, 502, 503, 504, 520, 524, 599),
  fc.integer({ min: 500, max: 599 }),
);

const wallets: readonly (readonly [name: string, payPath: RegExp, make: (fetch: WalletFetch) => Wallet])[] = [
  [
    'LND',
    /^\/(v2\/router|v1\/(channels\/transactions|payments|graph))/,
    (fetch) =>
      lndWallet({ url: 'http://a', macaroonHex: '00', fetch, schedule: new ManualSchedule(60_000).schedule }),
  ],
  [
    'Eclair',
    /^\/(sendtonode|getsentinfo)$/,
    (fetch) =>
      eclairWallet({
        url: 'http://a',
        password: 'b',
        fetch,
        schedule: new ManualSchedule(60_000).schedule,
        store: memoryStore(),
      }),
  ],
  [
    'Rivulet',
    /^\/v1\/(keysend|payment)$/,
    (fetch) =>
      rivuletWallet(createClient({ url: 'http://a', token: 'b', fetch: fetch as typeof globalThis.fetch }), {
        schedule: new ManualSchedule(0).schedule,
      }),
  ],
];

describe('whatever a server answers that has paid', () => {
  test.each(wallets)('%s does not call the payment failed, and does not throw', async (_, payPath, make) => {
    await fc.assert(
      fc.asyncProperty(afterwards, anything, async (status, body) => {
        const fetch: WalletFetch = async (url) => {
          const { pathname } = new URL(url);
          if (payPath.test(pathname)) return new Response(body, { status });
          // All else works, as far as it is asked for before a payment.
          const { nodeId } = request;
          const info = { version: '0.20.0-beta', identity_pubkey: nodeId, nodeId, alias: 'a' };
          return new Response(JSON.stringify(info));
        };
        const outcome = await make(fetch).keysend(request);
        expect(['pending', 'unknown']).toContain(outcome.status);
      }),
      { numRuns: 300 },
    );
  });
});
