import type { Network } from '@rivulet/chain';
import { Keyring } from './keyring.js';
import { wordsToSeed } from './seed.js';

/**
 * The wallet's descriptors with private keys: who has them has the coins. Needs the words and no daemon; never
 * goes through the API or the log.
 * @throws WalletError for words that are none
 */
export function privateDescriptors({ words, network }: { words: string; network: Network }): string[] {
  return new Keyring(wordsToSeed(words), network).descriptors({ private: true });
}

/** One entry of what Bitcoin Core's `importdescriptors` takes. */
export interface CoreImport {
  readonly desc: string;
  readonly active: boolean;
  /** Change addresses. */
  readonly internal: boolean;
  /** First and last index to look for. */
  readonly range: readonly [number, number];
  /** 0: looks through the whole chain. */
  readonly timestamp: number;
}

/** Descriptors as Bitcoin Core's `importdescriptors` wants them. */
export function coreImport(descriptors: readonly string[]): CoreImport[] {
  return descriptors.map((desc) => ({
    desc,
    active: true,
    internal: /\/1\/\*\)/.test(desc),
    range: [0, 999],
    timestamp: 0,
  }));
}
