import { bytesToHex } from '@rivulet/core/bytes';
import { type Outpoint, type Transaction, type TxOutput, txid } from '@rivulet/core/tx';

export interface ChainOutput extends TxOutput {
  readonly outpoint: Outpoint;
  readonly height: number;
}

export interface ChainSpend {
  readonly tx: Transaction;
  readonly height: number;
}

export type BroadcastResult =
  | 'accepted'
  | 'known'
  | 'missing_inputs'
  | 'conflict'
  | 'not_final'
  | 'overspent';

export function outpointKey({ txid: id, index }: Outpoint): string {
  return `${bytesToHex(id)}:${index}`;
}

const relativeLockDisabled = 0x8000_0000;
const lockTimeLimit = 500_000_000;

/**
 * A chain without scripts, signatures, fee policies, replacement and reorganisations: a transaction is valid
 * when its inputs are confirmed and unspent, its locks (BIP 65, BIP 68) are over and it spends no more than it
 * has. The first of two that conflict is mined, in the next block. Whoever publishes has signed with the real
 * keys of the channel; that nobody else could is what is taken on trust here.
 */
export class SimChain {
  #height: number;
  readonly #outputs = new Map<string, ChainOutput>();
  readonly #spends = new Map<string, ChainSpend>();
  readonly #byScript = new Map<string, Set<string>>();
  readonly #blocks = new Map<number, readonly Transaction[]>();
  #mempool: Transaction[] = [];
  #mempoolIds = new Set<string>();
  readonly #claimed = new Set<string>();
  #feesSat = 0n;
  #issuedSat = 0n;

  constructor(height: number) {
    this.#height = height;
  }

  get height(): number {
    return this.#height;
  }

  /** What miners have got. */
  get feesSat(): bigint {
    return this.#feesSat;
  }

  /** What was there at the beginning. */
  get issuedSat(): bigint {
    return this.#issuedSat;
  }

  /** What outputs hold now. */
  get unspentSat(): bigint {
    let sum = 0n;
    for (const { valueSat } of this.#outputs.values()) sum += valueSat;
    return sum;
  }

  /** An output from before the simulation. */
  issue(outpoint: Outpoint, { valueSat, script }: TxOutput): void {
    this.#issuedSat += valueSat;
    this.#add({ outpoint, valueSat, script, height: this.#height });
  }

  #add(output: ChainOutput): void {
    const key = outpointKey(output.outpoint);
    this.#outputs.set(key, output);
    const script = bytesToHex(output.script);
    const same = this.#byScript.get(script);
    if (same === undefined) this.#byScript.set(script, new Set([key]));
    else same.add(key);
  }

  /** Confirmed outputs of a script that nothing in the mempool spends, in the order of their blocks. */
  unspentOf(script: Uint8Array): ChainOutput[] {
    const keys = this.#byScript.get(bytesToHex(script)) ?? [];
    return [...keys]
      .filter((key) => !this.#claimed.has(key))
      .map((key) => this.#outputs.get(key) as ChainOutput);
  }

  balanceSat(script: Uint8Array): bigint {
    let sum = 0n;
    for (const key of this.#byScript.get(bytesToHex(script)) ?? []) {
      sum += (this.#outputs.get(key) as ChainOutput).valueSat;
    }
    return sum;
  }

  /** The confirmed transaction that spends an output. */
  spendOf(outpoint: Outpoint): ChainSpend | undefined {
    return this.#spends.get(outpointKey(outpoint));
  }

  isBeingSpent(outpoint: Outpoint): boolean {
    return this.#claimed.has(outpointKey(outpoint));
  }

  block(height: number): readonly Transaction[] {
    return this.#blocks.get(height) ?? [];
  }

  broadcast(tx: Transaction): BroadcastResult {
    const id = bytesToHex(txid(tx));
    if (this.#mempoolIds.has(id)) return 'known';
    let totalSat = 0n;
    const keys = tx.inputs.map(({ outpoint }) => outpointKey(outpoint));
    for (const [index, key] of keys.entries()) {
      const output = this.#outputs.get(key);
      if (output === undefined) {
        const spend = this.#spends.get(key);
        return spend !== undefined && bytesToHex(txid(spend.tx)) === id ? 'known' : 'missing_inputs';
      }
      if (this.#claimed.has(key)) return 'conflict';
      const { sequence } = tx.inputs[index] as Transaction['inputs'][number];
      if ((sequence & relativeLockDisabled) === 0) {
        // BIP 68: as part of the next block
        if (this.#height + 1 - output.height < (sequence & 0xffff)) return 'not_final';
      }
      totalSat += output.valueSat;
    }
    // A locktime that is a time is in the past: commitments have such ones.
    if (tx.lockTime < lockTimeLimit && tx.lockTime > this.#height) return 'not_final';
    if (tx.outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n) > totalSat) return 'overspent';
    this.#mempool.push(tx);
    this.#mempoolIds.add(id);
    for (const key of keys) this.#claimed.add(key);
    return 'accepted';
  }

  /** Mines all that was broadcast. */
  mine(): { height: number; transactions: readonly Transaction[] } {
    const height = ++this.#height;
    const transactions = this.#mempool;
    this.#mempool = [];
    this.#mempoolIds = new Set();
    for (const tx of transactions) this.#confirm(tx, height);
    if (transactions.length > 0) this.#blocks.set(height, transactions);
    return { height, transactions };
  }

  #confirm(tx: Transaction, height: number): void {
    for (const { outpoint } of tx.inputs) {
      const key = outpointKey(outpoint);
      const output = this.#outputs.get(key) as ChainOutput;
      this.#feesSat += output.valueSat;
      this.#outputs.delete(key);
      this.#claimed.delete(key);
      this.#byScript.get(bytesToHex(output.script))?.delete(key);
      this.#spends.set(key, { tx, height });
    }
    const id = txid(tx);
    for (const [index, { valueSat, script }] of tx.outputs.entries()) {
      this.#feesSat -= valueSat;
      this.#add({ outpoint: { txid: id, index }, valueSat, script, height });
    }
  }
}
