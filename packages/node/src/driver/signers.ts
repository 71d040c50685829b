import { bytesToHex } from '@rivulet/core/bytes';
import { type ChannelSigner, deriveChannelSecrets, InMemoryChannelSigner } from '@rivulet/core/keys';

/** The signers of all channels, made from the node's channel seed. */
export class Signers {
  readonly #seed: Uint8Array;
  readonly #made = new Map<string, ChannelSigner>();

  constructor(seed: Uint8Array) {
    this.#seed = seed;
  }

  /** That of a stored channel; kept. */
  of(channelKeyId: Uint8Array): ChannelSigner {
    const key = bytesToHex(channelKeyId);
    const made = this.#made.get(key);
    if (made !== undefined) return made;
    const signer = this.create(channelKeyId);
    this.#made.set(key, signer);
    return signer;
  }

  /** One that is not kept: most channels that peers begin to open never come into being (threat 11). */
  create(channelKeyId: Uint8Array): ChannelSigner {
    return new InMemoryChannelSigner(deriveChannelSecrets(this.#seed, channelKeyId));
  }
}
