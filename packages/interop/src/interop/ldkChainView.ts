import type { LdkChain, LdkTip } from '../ldk/ldkTypes.js';

/** The chain as one LDK node sees it: it can be kept from hearing of new blocks. */
export class LdkChainView implements LdkChain {
  readonly #chain: LdkChain;
  #heldAt: LdkTip | undefined;

  constructor(chain: LdkChain) {
    this.#chain = chain;
  }

  /** From now on there are no new blocks for it. */
  async hold(): Promise<void> {
    this.#heldAt = await this.#chain.tip();
  }

  async tip(): Promise<LdkTip> {
    return this.#heldAt ?? this.#chain.tip();
  }

  block(height: number): ReturnType<LdkChain['block']> {
    return this.#chain.block(height);
  }

  broadcast(transactions: readonly Uint8Array[]): Promise<void> {
    return this.#chain.broadcast(transactions);
  }

  onTip(listener: () => void): () => void {
    return this.#chain.onTip(listener);
  }
}
