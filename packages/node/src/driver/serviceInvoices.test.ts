import { utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { encodeResponse } from '@rivulet/sdk';
import { bech32 } from '@scure/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Pair } from './pair.test.support.js';
import { createService } from './service.js';

let pair: Pair;

beforeAll(async () => {
  pair = await Pair.withChannel();
});

afterAll(() => pair.stop());

function service() {
  return createService({ node: pair.alice.node, alias: 'alice', version: '0', onStop: () => {} });
}

test('an invoice of our own is not paid, and says what is meant for that', async () => {
  const { invoice } = await service().createInvoice({ amountMsat: 1_000n });
  await expect(service().pay({ invoice })).rejects.toMatchObject({
    code: 'own_node',
    message: expect.stringContaining('rebalance'),
  });
  expect((await service().payments({})).payments).toEqual([]);
});

/** Five bits a word, filled up with zeros to whole bytes. */
function bytesOfWords(words: readonly number[]): Uint8Array {
  const bits = words.map((word) => word.toString(2).padStart(5, '0')).join('');
  return Uint8Array.from(bits.match(/.{1,8}/g) ?? [], (byte) => parseInt(byte.padEnd(8, '0'), 2));
}

/** The same invoice with an expiry of 2^50 - 1 seconds, signed by somebody. */
function nearlyForever(invoice: string): string {
  const { prefix, words } = bech32.decode(invoice as `${string}1${string}`, false);
  // Type 6 with 10 words, all ones; the first field of a type is the one that counts.
  const expiry = [6, 0, 10, ...Array<number>(10).fill(31)];
  const signed = [...words.slice(0, 7), ...expiry, ...words.slice(7, -104)];
  const hash = sha256(Uint8Array.of(...utf8ToBytes(prefix), ...bytesOfWords(signed)));
  const { signature, recovery } = secp256k1.signRecoverable(hash, new Uint8Array(32).fill(5));
  const ending = bech32.toWords(Uint8Array.of(...signature, recovery));
  return bech32.encode(prefix, [...signed, ...ending], false);
}

test('an invoice that outlives all dates is shown all the same', async () => {
  const { invoice } = await service().createInvoice({ amountMsat: 1_000n });
  const decoded = await service().decodeInvoice({ invoice: nearlyForever(invoice) });
  expect(decoded).toMatchObject({ expired: false, amountMsat: 1_000n });
  expect(() => encodeResponse('decodeInvoice', decoded)).not.toThrow();
  expect(new Date(decoded.expiresAtMs).getTime()).toBe(decoded.expiresAtMs);
});
