import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../bytes/index.js';
import { sha256 } from '../crypto/index.js';
import { anchorScript, htlcScripts, toLocalScript, toRemoteOutput } from './commitmentScripts.js';
import { sampleKeys } from './samples.test.support.js';
import { p2wpkhScript, p2wshScript } from './script.js';

// BOLT 3 appendix C: keys of the test vectors, HTLCs 0 and 2
const keys = {
  ...sampleKeys,
  localDelayedPubkey: hexToBytes('03fd5960528dc152014952efdb702a88f71e3c1653b2314431701ec77e57fde83c'),
  revocationPubkey: hexToBytes('0212a140cd0c6539d07cd08dfe09984dec3251ea808b892efeac3ede9402bf2b19'),
  localHtlcPubkey: hexToBytes('030d417a46946384f88d5f3337267c5e579765875dc4daca813e21734b140639e7'),
  remoteHtlcPubkey: hexToBytes('0394854aa6eab5b2a8122cc726e9dded053a2184d88256816826d6231c068d4a5b'),
};
const received = { direction: 'received', paymentHash: sha256(new Uint8Array(32)), cltvExpiry: 500 } as const;
const offered = {
  direction: 'offered',
  paymentHash: sha256(new Uint8Array(32).fill(2)),
  cltvExpiry: 502,
} as const;
const receivedHex =
  '76a91414011f7254d96b819c76986c277d115efce6f7b58763ac67210394854aa6eab5b2a8122cc726e9dded053a2184d88256816826d6231c068d4a5b7c8201208763a914b8bcb07f6344b42ab04250c86a6e8b75d3fdbbc688527c21030d417a46946384f88d5f3337267c5e579765875dc4daca813e21734b140639e752ae677502f401b175ac68';
const offeredHex =
  '76a91414011f7254d96b819c76986c277d115efce6f7b58763ac67210394854aa6eab5b2a8122cc726e9dded053a2184d88256816826d6231c068d4a5b7c820120876475527c21030d417a46946384f88d5f3337267c5e579765875dc4daca813e21734b140639e752ae67a914b43e1b38138a41b37f7cd9a1d274bc63e3a9b5d188ac68';

describe('the scripts of a commitment', () => {
  test('are those of BOLT 3 without anchors', () => {
    const scriptOf = htlcScripts(keys, 'static_remotekey');
    expect(bytesToHex(scriptOf(received))).toBe(`${receivedHex}68`);
    expect(bytesToHex(scriptOf(offered))).toBe(`${offeredHex}68`);
    expect(bytesToHex(toLocalScript({ ...keys, toSelfDelay: 144 }))).toBe(
      '63210212a140cd0c6539d07cd08dfe09984dec3251ea808b892efeac3ede9402bf2b1967029000b2752103fd5960528dc152014952efdb702a88f71e3c1653b2314431701ec77e57fde83c68ac',
    );
  });

  test('make the other side wait a block with anchors', () => {
    const scriptOf = htlcScripts(keys, 'anchors');
    expect(bytesToHex(scriptOf(received))).toBe(`${receivedHex}51b27568`);
    expect(bytesToHex(scriptOf(offered))).toBe(`${offeredHex}51b27568`);
  });

  test('pay to_remote to a plain key, or behind a lock of one block', () => {
    const key = keys.remotePaymentPubkey;
    expect(toRemoteOutput(key, 'static_remotekey')).toEqual({ script: p2wpkhScript(key) });
    const { script, witnessScript } = toRemoteOutput(key, 'anchors');
    expect(bytesToHex(witnessScript ?? new Uint8Array(0))).toBe(`21${bytesToHex(key)}ad51b2`);
    expect(script).toEqual(p2wshScript(witnessScript ?? new Uint8Array(0)));
  });

  test('leave an anchor to anyone after 16 blocks', () => {
    const key = keys.localFundingPubkey;
    expect(bytesToHex(anchorScript(key))).toBe(`21${bytesToHex(key)}ac736460b268`);
  });
});
