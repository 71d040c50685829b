import { bytesToHex, concatBytes } from '@rivulet/core/bytes';
import { sha256, sha256d } from '@rivulet/core/crypto';
import { decodeTransaction, encodeTransaction, type Outpoint, txid } from '@rivulet/core/tx';
import { LdkError } from './ldkError.js';
import type { LdkBlock, LdkChain, LdkFund, LdkTip } from './ldkTypes.js';

function outpointKey({ txid: id, index }: Outpoint): string {
  return `${bytesToHex(id)}:${index}`;
}

/**
 * Blocks without any rule but that an output is spent once: enough for two LDK nodes to open and close
 * channels where nothing is to be learnt about the chain. Everything else runs on the embedded chain.
 */
export class UncheckedChain implements LdkChain {
  readonly #blocks: LdkBlock[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #spent = new Set<string>();
  readonly #confirmed = new Set<string>();
  #mempool: { id: string; raw: Uint8Array; spends: readonly string[] }[] = [];
  #coins = 0;

  constructor() {
    this.#addBlock([]);
  }

  async tip(): Promise<LdkTip> {
    const { height, hash } = this.#blocks.at(-1) as LdkBlock;
    return { height, hash };
  }

  async block(height: number): Promise<LdkBlock | undefined> {
    return this.#blocks[height];
  }

  onTip(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async broadcast(transactions: readonly Uint8Array[]): Promise<void> {
    for (const raw of transactions) this.#accept(raw);
  }

  /** Pays from coins that never existed. */
  readonly fund: LdkFund = async ({ script, valueSat }) => {
    this.#coins++;
    const input = {
      outpoint: { txid: sha256(Uint8Array.of(this.#coins >> 8, this.#coins & 0xff)), index: 0 },
      scriptSig: new Uint8Array(),
      sequence: 0xfffffffd,
      witness: [Uint8Array.of(1)],
    };
    return encodeTransaction({ version: 2, lockTime: 0, inputs: [input], outputs: [{ valueSat, script }] });
  };

  /** Pays to a script in the next block. */
  async pay(script: Uint8Array, valueSat: bigint): Promise<void> {
    await this.broadcast([await this.fund({ script, valueSat })]);
  }

  /** The txids that wait, in hex of internal byte order. */
  get mempool(): readonly string[] {
    return this.#mempool.map(({ id }) => id);
  }

  /** Makes blocks; the first takes all transactions that wait. */
  mine(count = 1): void {
    for (let i = 0; i < count; i++) {
      const taken = this.#mempool;
      this.#mempool = [];
      for (const { id, spends } of taken) {
        this.#confirmed.add(id);
        for (const outpoint of spends) this.#spent.add(outpoint);
      }
      this.#addBlock(taken.map(({ raw }) => raw));
    }
    for (const listener of [...this.#listeners]) listener();
  }

  #accept(raw: Uint8Array): void {
    const tx = decodeTransaction(raw);
    const id = bytesToHex(txid(tx));
    if (this.#confirmed.has(id) || this.#mempool.some((waiting) => waiting.id === id)) return;
    const spends = tx.inputs.map((input) => outpointKey(input.outpoint));
    if (spends.some((outpoint) => this.#spent.has(outpoint))) {
      throw new LdkError('ldk_refused', 'missing_inputs: a confirmed transaction spent an input');
    }
    // The newer replaces the older, and whatever spends the older's outputs goes with it.
    const gone = new Set(
      this.#mempool.filter((w) => w.spends.some((o) => spends.includes(o))).map((w) => w.id),
    );
    this.#mempool = this.#mempool.filter((waiting) => {
      if (waiting.spends.some((outpoint) => gone.has(outpoint.slice(0, 64)))) gone.add(waiting.id);
      return !gone.has(waiting.id);
    });
    this.#mempool.push({ id, raw, spends });
  }

  #addBlock(transactions: readonly Uint8Array[]): void {
    const height = this.#blocks.length;
    const header = new Uint8Array(80);
    const view = new DataView(header.buffer);
    view.setUint32(0, 0x20000000, true);
    header.set(this.#blocks.at(-1)?.hash ?? new Uint8Array(32), 4);
    header.set(sha256(concatBytes(...transactions, Uint8Array.of(height >> 8, height & 0xff))), 36);
    view.setUint32(68, Math.floor(Date.now() / 1000), true);
    view.setUint32(72, 0x207fffff, true);
    this.#blocks.push({ height, hash: sha256d(header), header, transactions });
  }
}
