import { bytesToHex } from '@rivulet/core/bytes';
import { type ChannelSigner, deriveChannelSecrets, InMemoryChannelSigner } from '@rivulet/core/keys';

/** The signers of all channels, made from the node's channel seed when they are first asked for. */
export class Signers {
  readonly #seed: Uint8Array;
  readonly #made = new Map<string, ChannelSigner>();

  constructor(seed: Uint8Array) {
    this.#seed = seed;
  }

  of(channelKeyId: Uint8Array): ChannelSigner {
    const key = bytesToHex(channelKeyId);
    const made = this.#made.get(key);
    if (made !== undefined) return made;
    const signer = new InMemoryChannelSigner(deriveChannelSecrets(this.#seed, channelKeyId));
    this.#made.set(key, signer);
    return signer;
  }
}
