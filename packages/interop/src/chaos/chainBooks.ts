import type { RegtestChain } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import type { KnownChannel } from './channelRegistry.js';

/** The value of an anchor (BOLT 3). */
const anchorSat = 330n;
/** Below this an output may cost more than it brings: it waits for company, for ever if need be. */
export const collectedFromSat = 1_000n;

interface ConfirmedTx {
  readonly tx: Transaction;
  readonly txidHex: string;
  readonly height: number;
}

/** What the chain says of a channel that is over. */
export interface ChannelEnd {
  readonly spentByHex: string;
  /** Whether the lock time and sequence are those of a commitment. */
  readonly isCommitment: boolean;
  /** What came to each node, by its place in the list, before what it paid to collect it. */
  readonly grossSat: ReadonlyMap<number, bigint>;
  /** Fee, anchors, and what was too small for an output: the opener's. */
  readonly lossSat: bigint;
  /** Of the loss, what may have belonged to either side: trimmed HTLCs and parts of satoshis. */
  readonly unclearSat: bigint;
  readonly outputs: number;
  /** Outputs that nobody has collected, though they are worth it. */
  readonly unclaimed: readonly string[];
}

/** The active chain, read once: who got what. */
export class ChainBooks {
  readonly #transactions = new Map<string, ConfirmedTx>();
  readonly #spenders = new Map<string, ConfirmedTx>();
  readonly #owners: ReadonlyMap<string, number>;
  readonly #ownerCache = new Map<string, number | undefined>();
  /** All that transactions paid to miners. */
  feesSat = 0n;

  /** @param owners which node's wallet a script, in hex, belongs to */
  constructor(chain: RegtestChain, owners: ReadonlyMap<string, number>) {
    this.#owners = owners;
    for (let height = 1; height <= chain.height; height++) {
      for (const { tx } of chain.blockAt(height)?.transactions ?? []) {
        const confirmed = { tx, txidHex: txidToHex(txid(tx)), height };
        this.#transactions.set(confirmed.txidHex, confirmed);
        for (const { outpoint } of tx.inputs) {
          this.#spenders.set(`${txidToHex(outpoint.txid)}:${outpoint.index}`, confirmed);
        }
      }
    }
    for (const { tx } of this.#transactions.values()) this.feesSat += this.#feeSat(tx);
  }

  #feeSat(tx: Transaction): bigint {
    let sum = 0n;
    for (const { outpoint } of tx.inputs) {
      const spent = this.#transactions.get(txidToHex(outpoint.txid))?.tx.outputs[outpoint.index];
      // A block's reward has no input.
      if (spent === undefined) return 0n;
      sum += spent.valueSat;
    }
    for (const { valueSat } of tx.outputs) sum -= valueSat;
    return sum;
  }

  isConfirmed(txidHex: string): boolean {
    return this.#transactions.has(txidHex);
  }

  /** What a node's wallet has in unspent outputs. */
  balanceSat(node: number): bigint {
    let sum = 0n;
    for (const { tx, txidHex } of this.#transactions.values()) {
      tx.outputs.forEach(({ valueSat, script }, index) => {
        if (this.#owners.get(bytesToHex(script)) !== node) return;
        if (!this.#spenders.has(`${txidHex}:${index}`)) sum += valueSat;
      });
    }
    return sum;
  }

  /** Unspent outputs of transactions of the nodes that belong to no wallet. */
  leftovers(): readonly { readonly outpoint: string; readonly valueSat: bigint }[] {
    const found: { outpoint: string; valueSat: bigint }[] = [];
    for (const { tx, txidHex } of this.#transactions.values()) {
      // Rewards of blocks that chaos mined are nobody's.
      const isReward = !this.#transactions.has(txidToHex(tx.inputs[0]?.outpoint.txid ?? new Uint8Array(32)));
      if (isReward) continue;
      tx.outputs.forEach(({ valueSat, script }, index) => {
        const outpoint = `${txidHex}:${index}`;
        if (this.#spenders.has(outpoint) || this.#owners.has(bytesToHex(script))) return;
        found.push({ outpoint, valueSat });
      });
    }
    return found;
  }

  /** How a channel ended, or undefined while its funding is not spent. */
  endOf(channel: KnownChannel): ChannelEnd | undefined {
    const spender = this.#spenders.get(`${channel.fundingTxidHex}:${channel.fundingOutputIndex}`);
    if (spender === undefined) return undefined;
    const { tx, txidHex } = spender;
    const grossSat = new Map<number, bigint>();
    const unclaimed: string[] = [];
    let lossSat = channel.fundingSat;
    let anchors = 0n;
    let uncollectedSat = 0n;
    // BOLT 3: the upper 8 bits of a commitment's lock time are 0x20.
    const isCommitment = tx.lockTime >>> 24 === 0x20;
    tx.outputs.forEach(({ valueSat }, index) => {
      if (isCommitment && channel.anchors && valueSat === anchorSat) {
        anchors++;
        return;
      }
      lossSat -= valueSat;
      const owner = this.#ownerOfOutput(spender, index);
      if (owner === undefined && valueSat < collectedFromSat) uncollectedSat += valueSat;
      else if (owner === undefined) unclaimed.push(`${txidHex}:${index} (${valueSat} sat)`);
      else grossSat.set(owner, (grossSat.get(owner) ?? 0n) + valueSat);
    });
    const outputs = tx.outputs.length - Number(anchors);
    // BOLT 3: the weight of a commitment without HTLCs; those that it has make it heavier by 172 each.
    const htlcs = Math.max(0, outputs - 2);
    const weight = (channel.anchors ? 1_124 : 724) + 172 * htlcs;
    const anchorsSat = channel.anchors ? 2n * anchorSat : 0n;
    let trimmedSat: bigint | undefined;
    for (const feerate of lastFeerates(channel)) {
      // What is more than the fee is what was too small for an output.
      const overSat = lossSat - anchorsSat - BigInt(Math.floor((feerate * weight) / 1_000));
      if (overSat >= 0n && overSat >= (trimmedSat ?? 0n)) trimmedSat = overSat;
    }
    return {
      spentByHex: txidHex,
      isCommitment,
      grossSat,
      lossSat,
      unclearSat: (trimmedSat ?? lossSat) + uncollectedSat + BigInt(outputs + 1),
      outputs,
      unclaimed,
    };
  }

  #ownerOfOutput({ tx, txidHex }: ConfirmedTx, index: number): number | undefined {
    const script = tx.outputs[index]?.script;
    const owner = script && this.#owners.get(bytesToHex(script));
    if (owner !== undefined) return owner;
    const spender = this.#spenders.get(`${txidHex}:${index}`);
    return spender && this.#ownerOfTransaction(spender);
  }

  /** Who made a transaction that claims: whoever its outputs, or what follows from them, belong to. */
  #ownerOfTransaction(confirmed: ConfirmedTx): number | undefined {
    const { txidHex, tx } = confirmed;
    if (this.#ownerCache.has(txidHex)) return this.#ownerCache.get(txidHex);
    this.#ownerCache.set(txidHex, undefined);
    let owner: number | undefined;
    for (let index = 0; index < tx.outputs.length && owner === undefined; index++) {
      owner = this.#ownerOfOutput(confirmed, index);
    }
    this.#ownerCache.set(txidHex, owner);
    return owner;
  }
}

/** A commitment has the feerate that its channel had last, or was about to have. */
function lastFeerates({ last }: KnownChannel): Set<number> {
  return new Set([...last.values()].flatMap(({ feeratesPerKw }) => feeratesPerKw));
}
