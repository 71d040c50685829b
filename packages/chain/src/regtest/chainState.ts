import { bytesToHex, equalBytes, hexToBytes } from '@rivulet/core/bytes';
import { decodeTransaction } from '@rivulet/core/tx';
import { type Block, type BlockHeader, blockHash, decodeBlockHeader, merkleRoot } from '../block.js';
import { heightPush, meetsTarget, regtestBits, witnessCommitment } from './blockAssembly.js';
import {
  areSequenceLocksMet,
  type BlockContext,
  type Coin,
  checkInputs,
  checkTransaction,
  isCoinbase,
  isFinal,
  maxBlockWeight,
  subsidySat,
} from './consensus.js';
import {
  hashToHex,
  outpointKey,
  type PreparedTransaction,
  prepareTransaction,
} from './preparedTransaction.js';
import { ScriptVerifier } from './scriptVerifier.js';
import { TxRejection } from './txRejection.js';

/** A block of the tree, on the active chain or beside it. Hex hashes are in display order. */
export interface StoredBlock {
  readonly hash: Uint8Array;
  readonly hashHex: string;
  readonly header: BlockHeader;
  readonly height: number;
  readonly transactions: readonly PreparedTransaction[];
}

const genesisHeader = decodeBlockHeader(
  hexToBytes(
    '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f61' +
      '7fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000',
  ),
);
const genesisCoinbase = decodeTransaction(
  hexToBytes(
    '01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d010445546865' +
      '2054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e6420626169' +
      '6c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e0' +
      '3909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000',
  ),
);

export function storeBlock(block: Block, height: number): StoredBlock {
  const hash = blockHash(block.header);
  return {
    hash,
    hashHex: hashToHex(hash),
    header: block.header,
    height,
    transactions: block.transactions.map(prepareTransaction),
  };
}

/** The active chain: its blocks, its unspent outputs and who spent the others. All in memory. */
export class ChainState {
  readonly #blocks: StoredBlock[];
  readonly #coins = new Map<string, Coin>();
  readonly #transactions = new Map<string, { block: StoredBlock; index: number }>();
  readonly #spends = new Map<string, { transaction: PreparedTransaction; input: number }>();
  /** The coins that each active block spent, to give back when it is disconnected. */
  readonly #undo = new Map<string, readonly (readonly [string, Coin])[]>();
  /** wtxids whose scripts have passed; the wtxid commits to the outputs that are spent as well. */
  readonly #scriptsPassed = new Set<string>();

  constructor() {
    const genesis = storeBlock({ header: genesisHeader, transactions: [genesisCoinbase] }, 0);
    // The coins of the genesis block are not spendable: it is not connected like others.
    this.#blocks = [genesis];
    this.#index(genesis);
  }

  get tip(): StoredBlock {
    return this.#blocks[this.#blocks.length - 1]!;
  }

  blockAt(height: number): StoredBlock | undefined {
    return this.#blocks[height];
  }

  isActive(block: StoredBlock): boolean {
    return this.#blocks[block.height]?.hashHex === block.hashHex;
  }

  coin(key: string): Coin | undefined {
    return this.#coins.get(key);
  }

  coins(): IterableIterator<[string, Coin]> {
    return this.#coins.entries();
  }

  transaction(txidHex: string): { block: StoredBlock; index: number } | undefined {
    return this.#transactions.get(txidHex);
  }

  /** The transaction of the active chain that spent an output. */
  spend(key: string): { transaction: PreparedTransaction; input: number } | undefined {
    return this.#spends.get(key);
  }

  /** An output of the active chain, spent or not. */
  output(key: string): Coin | undefined {
    const found = this.#transactions.get(key.slice(0, 64));
    const transaction = found?.block.transactions[found.index];
    const output = transaction?.tx.outputs[Number(key.slice(65))];
    if (found === undefined || output === undefined) return undefined;
    return { ...output, height: found.block.height, coinbase: found.index === 0 };
  }

  /** BIP 113: the median time of a block and the ten before it. */
  medianTimePastAt(height: number): number {
    const times = this.#blocks.slice(Math.max(0, height - 10), height + 1).map((block) => block.header.time);
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
  }

  nextContext(): BlockContext {
    const { height } = this.tip;
    return { height: height + 1, medianTimePast: this.medianTimePastAt(height) };
  }

  /** @throws TxRejection */
  verifyScripts({ tx, wtxidHex }: PreparedTransaction, coins: readonly Coin[]): void {
    if (this.#scriptsPassed.has(wtxidHex)) return;
    const failure = new ScriptVerifier(tx, coins).verifyAll();
    if (failure !== undefined) {
      const { index, reason } = failure;
      throw new TxRejection(`mandatory-script-verify-flag-failed (${reason})`, `input ${index}`);
    }
    this.#scriptsPassed.add(wtxidHex);
  }

  #checkHeader(header: BlockHeader, context: BlockContext): void {
    if (!equalBytes(header.previousHash, this.tip.hash)) throw new TxRejection('bad-prevblk');
    if (header.bits !== regtestBits) throw new TxRejection('bad-diffbits');
    if (!meetsTarget(blockHash(header))) throw new TxRejection('high-hash');
    if (header.time <= context.medianTimePast) throw new TxRejection('time-too-old');
  }

  #checkBody(block: StoredBlock): void {
    const { transactions, header, height } = block;
    const [coinbase, ...others] = transactions;
    if (coinbase === undefined || !isCoinbase(coinbase.tx)) throw new TxRejection('bad-cb-missing');
    if (others.some((one) => isCoinbase(one.tx))) throw new TxRejection('bad-cb-multiple');
    if (!equalBytes(merkleRoot(transactions.map((one) => one.txid)), header.merkleRoot)) {
      throw new TxRejection('bad-txnmrklroot');
    }
    const weight = transactions.reduce((sum, one) => sum + one.weight, 0);
    if (weight + 4 * 90 > maxBlockWeight) throw new TxRejection('bad-blk-weight');
    const script = coinbase.tx.inputs[0]!.scriptSig;
    const push = heightPush(height);
    if (!equalBytes(script.subarray(0, push.length), push)) throw new TxRejection('bad-cb-height');
    const commitment = bytesToHex(witnessCommitment(others));
    const reserved = coinbase.tx.inputs[0]!.witness;
    const commits = coinbase.tx.outputs.some((output) => bytesToHex(output.script) === commitment);
    const needed = others.some((one) => one.wtxidHex !== one.txidHex) || reserved.length > 0;
    if (needed && !commits) throw new TxRejection('bad-witness-merkle-match');
  }

  /**
   * Adds a block to the tip. Nothing changes if it is refused.
   * @param options.trusted skips scripts: for blocks that this program checked and wrote itself
   * @throws TxRejection
   */
  connect(block: StoredBlock, options: { trusted?: boolean } = {}): void {
    const context = this.nextContext();
    this.#checkHeader(block.header, context);
    this.#checkBody(block);
    const spent: [string, Coin][] = [];
    const created = new Map<string, Coin>();
    const gone = new Set<string>();
    let feesSat = 0n;
    for (const [position, transaction] of block.transactions.entries()) {
      const { tx } = transaction;
      checkTransaction(tx);
      if (!isFinal(tx, context)) throw new TxRejection('bad-txns-nonfinal');
      if (position > 0) {
        const coins = tx.inputs.map(({ outpoint }) => {
          const key = outpointKey(outpoint);
          const coin = created.get(key) ?? this.#coins.get(key);
          if (coin === undefined || gone.has(key))
            throw new TxRejection('bad-txns-inputs-missingorspent', key);
          gone.add(key);
          spent.push([key, coin]);
          return coin;
        });
        feesSat += checkInputs(tx, coins, context);
        const heights = coins.map((coin) => coin.height);
        const medianTimePastAt = (height: number) => this.medianTimePastAt(height);
        if (!areSequenceLocksMet({ tx, heights, context, medianTimePastAt })) {
          throw new TxRejection('bad-txns-nonfinal', 'a relative locktime has not passed');
        }
        if (options.trusted === true) this.#scriptsPassed.add(transaction.wtxidHex);
        else this.verifyScripts(transaction, coins);
      }
      for (const [index, output] of tx.outputs.entries()) {
        // OP_RETURN outputs can never be spent: they are no coins.
        if (output.script[0] === 0x6a) continue;
        const key = `${transaction.txidHex}:${index}`;
        if (this.#coins.has(key)) throw new TxRejection('bad-txns-BIP30');
        created.set(key, { ...output, height: block.height, coinbase: position === 0 });
      }
    }
    let claimedSat = 0n;
    for (const { valueSat } of block.transactions[0]!.tx.outputs) claimedSat += valueSat;
    if (claimedSat > subsidySat(block.height) + feesSat) throw new TxRejection('bad-cb-amount');

    for (const [key, coin] of created) this.#coins.set(key, coin);
    for (const [key] of spent) this.#coins.delete(key);
    this.#undo.set(block.hashHex, spent);
    this.#blocks.push(block);
    this.#index(block);
  }

  #index(block: StoredBlock): void {
    for (const [index, transaction] of block.transactions.entries()) {
      this.#transactions.set(transaction.txidHex, { block, index });
      if (index === 0) continue;
      for (const [input, { outpoint }] of transaction.tx.inputs.entries()) {
        this.#spends.set(outpointKey(outpoint), { transaction, input });
      }
    }
  }

  /** Takes the tip off. The genesis block stays. */
  disconnect(): StoredBlock {
    const block = this.tip;
    const undo = this.#undo.get(block.hashHex);
    if (undo === undefined) throw new TxRejection('the genesis block cannot be disconnected');
    this.#undo.delete(block.hashHex);
    this.#blocks.pop();
    // Coins that the block made and spent itself are given back first, then taken away with its outputs.
    for (const [key, coin] of undo) this.#coins.set(key, coin);
    for (const { txidHex, tx } of block.transactions) {
      this.#transactions.delete(txidHex);
      for (let index = 0; index < tx.outputs.length; index++) this.#coins.delete(`${txidHex}:${index}`);
      for (const { outpoint } of tx.inputs) this.#spends.delete(outpointKey(outpoint));
    }
    return block;
  }
}
