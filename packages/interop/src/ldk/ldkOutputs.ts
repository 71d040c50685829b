import * as ldk from 'lightningdevkit';
import { LdkError } from './ldkError.js';
import type { LdkStore } from './ldkStore.js';

/** The outputs that a node can spend: its balance after a force close, and whatever it claimed. */
export class LdkOutputs {
  #store: LdkStore;
  readonly #swept = new Set<string>();

  constructor(store: LdkStore) {
    this.#store = store;
  }

  /** After a restart, which opens the store anew. */
  useStore(store: LdkStore): void {
    this.#store = store;
  }

  add(descriptors: readonly ldk.SpendableOutputDescriptor[]): void {
    for (const descriptor of descriptors) this.#store.appendOutput(descriptor.write());
  }

  /** Signs a transaction that spends all outputs not swept so far to a script. */
  spend({
    keys,
    script,
    feeratePerKw,
  }: {
    keys: ldk.KeysManager;
    script: Uint8Array;
    feeratePerKw: number;
  }): Uint8Array | undefined {
    const descriptors = new Map<string, ldk.SpendableOutputDescriptor>();
    for (const bytes of this.#store.readOutputs()) {
      const read = ldk.SpendableOutputDescriptor.constructor_read(bytes);
      if (!(read instanceof ldk.Result_SpendableOutputDescriptorDecodeErrorZ_OK)) {
        throw new LdkError('ldk_persistence', 'a stored spendable output does not load');
      }
      const key = read.res.spendable_outpoint().to_str();
      if (!this.#swept.has(key)) descriptors.set(key, read.res);
    }
    if (descriptors.size === 0) return undefined;
    const result = keys
      .as_OutputSpender()
      .spend_spendable_outputs(
        [...descriptors.values()],
        [],
        script,
        feeratePerKw,
        ldk.Option_u32Z.constructor_none(),
      );
    if (!(result instanceof ldk.Result_TransactionNoneZ_OK)) {
      throw new LdkError(
        'ldk_refused',
        `LDK cannot spend its ${descriptors.size} outputs: too small for the fee?`,
      );
    }
    for (const key of descriptors.keys()) this.#swept.add(key);
    return result.res;
  }
}
