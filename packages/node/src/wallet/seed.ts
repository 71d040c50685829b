import type { Network } from '@rivulet/chain';
import { HDKey } from '@scure/bip32';
import { entropyToMnemonic, mnemonicToSeedSync, validateMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { WalletError } from './walletError.js';

const known = new Set(wordlist);
const counts = [12, 15, 18, 21, 24];

/**
 * The recovery words (BIP 39, English) of fresh entropy: 12 words for 16 bytes, 24 for 32.
 * @throws WalletError `entropy_length`
 */
export function createWords(entropy: Uint8Array): string {
  if (entropy.length !== 16 && entropy.length !== 32) {
    throw new WalletError('entropy_length', `a seed needs 16 or 32 bytes of entropy, not ${entropy.length}`);
  }
  return entropyToMnemonic(entropy, wordlist);
}

/**
 * The 64-byte seed of recovery words (BIP 39). Case, order of spaces and line breaks do not matter.
 * Errors name the position of a word, never the word: a misspelt one is nearly the secret.
 * @throws WalletError `words_count`, `words_unknown`, `words_checksum`
 */
export function wordsToSeed(words: string, passphrase = ''): Uint8Array {
  const list = words.normalize('NFKD').trim().toLowerCase().split(/\s+/);
  if (!counts.includes(list.length)) {
    throw new WalletError('words_count', `${list.length} words were given: a seed has 12 or 24 of them`);
  }
  const unknown = list.flatMap((word, index) => (known.has(word) ? [] : [index + 1]));
  if (unknown.length > 0) {
    throw new WalletError(
      'words_unknown',
      `word ${unknown.join(', ')} of ${list.length} is not in the English list of BIP 39: check its spelling`,
    );
  }
  const joined = list.join(' ');
  if (!validateMnemonic(joined, wordlist)) {
    throw new WalletError(
      'words_checksum',
      'all words are known, but their checksum is wrong: a word is wrong, or two are exchanged',
    );
  }
  return mnemonicToSeedSync(joined, passphrase);
}

/** The secrets of a node that are not on-chain coins. 32 bytes each. */
export interface NodeSecrets {
  /** The node's identity: what peers know it by (BOLT 8). */
  readonly nodePrivateKey: Uint8Array;
  /** What every channel's keys derive from (core/keys deriveChannelSecrets). */
  readonly channelSeed: Uint8Array;
}

/** Our own number for each network, so that one seed has unrelated secrets on each. Never changed. */
const networkNumbers: Record<Network, number> = { mainnet: 0, testnet4: 1, signet: 2, regtest: 3 };

/**
 * The node's secrets, from the same seed as its coins: all levels are hardened, so none can be computed
 * from another. Paths, never changed (channels' money depends on them):
 *
 * - `m/9735'/network'/0'`: identity
 * - `m/9735'/network'/1'`: channel seed
 *
 * with network 0 mainnet, 1 testnet4, 2 signet, 3 regtest.
 */
export function deriveNodeSecrets(seed: Uint8Array, network: Network): NodeSecrets {
  const base = HDKey.fromMasterSeed(seed).derive(`m/9735'/${networkNumbers[network]}'`);
  const secret = (number: number): Uint8Array => {
    const { privateKey } = base.derive(`m/${number}'`);
    if (privateKey === null) throw new TypeError('a key of a private parent has no private part');
    return Uint8Array.from(privateKey);
  };
  return { nodePrivateKey: secret(0), channelSeed: secret(1) };
}
