import { embeddedBackend, type RegtestChain } from '@rivulet/chain';
import { equalBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { ChannelPair, type ChannelPairOptions, type Party } from '@rivulet/core/monitor/testing';
import {
  buildSweep,
  type Outpoint,
  p2trClaim,
  p2trScript,
  p2wpkhClaim,
  p2wpkhScript,
  type SweepInput,
  segwitSighash,
  sighashAll,
  signatureToDer,
  type Transaction,
  txid,
} from '@rivulet/core/tx';
import { createLogger } from '../../logging/index.js';
import { ManualScheduler } from '../../peers/testing/manualScheduler.js';
import { ChainFollower } from '../chainFollower.js';
import { Sweeper } from '../sweeper.js';
import type {
  ClaimFee,
  ClosingSpend,
  SpentChannel,
  SweepEvent,
  SweepPolicy,
  SweepWallet,
} from '../sweepPorts.js';

/** A wallet of two keys: one holds coins for fees, to the other the sweeps are paid. */
export class RigWallet implements SweepWallet {
  readonly #chain: RegtestChain;
  readonly #feeKey: Uint8Array;
  readonly #reserved = new Map<string, readonly SweepInput[]>();
  readonly feeScript: Uint8Array;
  readonly script: Uint8Array;
  /** Set to make the wallet unable to pay fees. */
  poor = false;
  /** Set to pay fees with taproot coins. */
  taproot = false;

  constructor(chain: RegtestChain, seed: number) {
    this.#chain = chain;
    this.#feeKey = sha256(Uint8Array.of(seed, 1));
    this.feeScript = p2wpkhScript(secp256k1.publicKey(this.#feeKey));
    this.script = p2wpkhScript(secp256k1.publicKey(sha256(Uint8Array.of(seed, 2))));
  }

  /** Of the fee key, as the output's own. */
  get taprootScript(): Uint8Array {
    return p2trScript(secp256k1.publicKey(this.#feeKey).subarray(1));
  }

  /** The confirmed outputs of a script. */
  #coins(script: Uint8Array): { outpoint: Outpoint; valueSat: bigint }[] {
    const found: { outpoint: Outpoint; valueSat: bigint }[] = [];
    for (const [key, coin] of this.#chain.coins()) {
      const [txidHex = '', index] = key.split(':');
      if (!equalBytes(coin.script, script)) continue;
      const outpoint = { txid: Uint8Array.from(Buffer.from(txidHex, 'hex')).reverse(), index: Number(index) };
      found.push({ outpoint, valueSat: coin.valueSat });
    }
    return found;
  }

  /** What the sweeps have brought, confirmed, with the change of fee inputs. */
  get receivedSat(): bigint {
    return this.#coins(this.script).reduce((sum, { valueSat }) => sum + valueSat, 0n);
  }

  get feeBalanceSat(): bigint {
    return this.#coins(this.feeScript).reduce((sum, { valueSat }) => sum + valueSat, 0n);
  }

  feeInputs(): SweepInput[] {
    if (this.taproot) {
      const sign = (hash: Uint8Array) => secp256k1.signSchnorr(hash, this.#feeKey, new Uint8Array(32));
      const script = this.taprootScript;
      return this.#coins(script).map((coin) => p2trClaim({ ...coin, script, sign }));
    }
    return this.#coins(this.feeScript).map(({ outpoint, valueSat }) => {
      const pubkey = secp256k1.publicKey(this.#feeKey);
      const sign = (hash: Uint8Array) => secp256k1.sign(hash, this.#feeKey);
      return p2wpkhClaim({ outpoint, valueSat, pubkey, sign });
    });
  }

  /** How many addresses were asked for. */
  newScripts = 0;

  newScript(): Promise<Uint8Array> {
    this.newScripts++;
    return Promise.resolve(this.script);
  }

  reserveFeeInputs({ id }: { id: string }): Promise<readonly SweepInput[] | undefined> {
    if (this.poor) return Promise.resolve(undefined);
    const taken = new Set(
      [...this.#reserved.entries()].flatMap(([by, inputs]) => (by === id ? [] : inputs.map(keyOf))),
    );
    const known = this.#reserved.get(id)?.map(keyOf) ?? [];
    const free = this.feeInputs().filter((input) => !taken.has(keyOf(input)));
    const input = free.find((one) => known.includes(keyOf(one))) ?? free[0];
    if (input === undefined) return Promise.resolve(undefined);
    this.#reserved.set(id, [input]);
    return Promise.resolve([input]);
  }

  /** How many are kept from other uses. */
  get reservedCoins(): number {
    return [...this.#reserved.values()].flat().length;
  }

  release(id: string): void {
    this.#reserved.delete(id);
  }

  /** Pays one coin of the fee key to a script; the change comes back to the fee key. */
  pay(script: Uint8Array, valueSat: bigint): Transaction {
    const [input] = this.feeInputs();
    if (input === undefined) throw new Error('the rig wallet has no coin');
    const change = buildSweep({ inputs: [input], script: this.feeScript, feeratePerKw: 1_000 })!;
    const changeSat = change.tx.outputs[0]!.valueSat - valueSat - 200n;
    const outputs = [
      { valueSat, script },
      { valueSat: changeSat, script: this.feeScript },
    ];
    return signAll({ ...change.tx, outputs }, [input]);
  }
}

function keyOf({ outpoint }: SweepInput): string {
  return `${Buffer.from(outpoint.txid).toString('hex')}:${outpoint.index}`;
}

/** Signs every input of a transaction: `inputs` in its order. */
function signAll(tx: Transaction, inputs: readonly SweepInput[]): Transaction {
  return {
    ...tx,
    inputs: tx.inputs.map((one, inputIndex) => {
      const { scriptCode, valueSat, sign, witness } = inputs[inputIndex]!;
      const hash = segwitSighash({ tx, inputIndex, scriptCode, valueSat, sighashType: sighashAll });
      return { ...one, witness: witness(signatureToDer(sign(hash), sighashAll)) };
    }),
  };
}

/** One party's part of a daemon: a follower that feeds a sweeper, and what they told. */
export class RigNode {
  readonly wallet: RigWallet;
  readonly events: SweepEvent[] = [];
  /** The turn of each block is lost once, with what the block meant, and comes again. */
  losesTurns = false;
  readonly log: { level: string; msg: string; [key: string]: unknown }[] = [];
  readonly broadcast: { tx: Transaction; result: string }[] = [];
  readonly errors: unknown[] = [];
  /** Set to make every broadcast fail, as without a connection. */
  broken = false;
  sweeper: Sweeper;
  follower: ChainFollower;
  /** What a node stores of its spent channel. */
  spend: { by: Transaction; height: number } | undefined;
  spends: ClosingSpend[] = [];
  fees: ClaimFee[] = [];
  /** What unconfirmed transactions have shown. */
  readonly unconfirmed: SweepEvent[] = [];
  /** As of a version that did not store spends. */
  forgetsSpends = false;
  /** From which height on an HTLC of ours costs us another one. */
  upstreamDeadline: number | undefined;
  readonly #rig: CloseRig;
  readonly #party: Party;

  constructor(rig: CloseRig, party: Party) {
    this.#rig = rig;
    this.#party = party;
    this.wallet = new RigWallet(rig.chain, party === 'alice' ? 1 : 2);
    this.sweeper = this.#newSweeper();
    this.follower = this.#newFollower({});
  }

  #newSweeper(): Sweeper {
    const backend = embeddedBackend(this.#rig.chain);
    const write = (line: string) => void this.log.push(JSON.parse(line));
    return new Sweeper({
      broadcast: async (tx) => {
        if (this.broken) throw new Error('the backend is down');
        const result = await backend.broadcast(tx);
        this.broadcast.push({ tx, result: result.accepted ? 'accepted' : result.code });
        return result;
      },
      estimateFeeratePerKw: (blocks) => backend.estimateFeeratePerKw(blocks),
      wallet: this.wallet,
      logger: createLogger({ level: 'debug', to: { write } }),
      policy: this.#rig.policy,
      getMempoolSpend: (outpoint) => backend.getMempoolSpend(outpoint),
      deadlineOf: () => this.upstreamDeadline,
      rememberFees: async (fees) => void this.fees.push(...fees),
      onUnconfirmedPreimage: (event) => void this.unconfirmed.push(event),
    });
  }

  /** As a node does it: spends are stored, all else is told. */
  #take(events: readonly SweepEvent[]): void {
    for (const event of events) {
      if (event.type === 'spends') this.spends.push({ tx: event.tx, height: event.height });
      else this.events.push(event);
    }
  }

  #newFollower(from: Pick<ChainFollower, 'tip' | 'recentHashes'> | object): ChainFollower {
    const { tip, recentHashes } = from as Partial<ChainFollower>;
    return new ChainFollower({
      backend: embeddedBackend(this.#rig.chain),
      scheduler: new ManualScheduler(),
      start: tip,
      ...(recentHashes === undefined ? {} : { recentHashes }),
      onBlock: (block) => {
        const see = () => {
          for (const by of block.transactions) if (this.#spendsFunding(by)) this.#onSpent(by, block.height);
          return this.sweeper.onBlock(block);
        };
        if (this.losesTurns) {
          see();
          this.sweeper.rollBack(block.height - 1);
        }
        this.#take(see());
      },
      onUndo: (block) => {
        const events = this.sweeper.onUndo(block);
        if (events.some(({ type }) => type === 'spendUndone')) this.spend = undefined;
        this.spends = this.spends.filter(({ height }) => height < block.height);
        this.#take(events);
      },
      onCaughtUp: () => this.sweeper.publish(),
      onError: (error) => void this.errors.push(error),
    });
  }

  get spent(): SpentChannel {
    const { channel, signer, archived } = this.#rig.pair[this.#party];
    return { channel, signer, archived, ...this.spend! };
  }

  #spendsFunding(tx: Transaction): boolean {
    const { fundingOutpoint } = this.#rig.pair.alice.channel.params;
    return tx.inputs.some(
      ({ outpoint }) =>
        equalBytes(outpoint.txid, fundingOutpoint.txid) && outpoint.index === fundingOutpoint.index,
    );
  }

  #onSpent(by: Transaction, height: number): void {
    this.spend = { by, height };
    this.sweeper.track(this.spent);
  }

  async start(): Promise<void> {
    this.follower.start();
    await this.follower.waitUntilSynced();
  }

  /** Ends everything and begins anew from what a node stores. `whileDown` happens in between. */
  async restart(whileDown: () => void = () => {}): Promise<void> {
    await this.follower.stop();
    const old = this.follower;
    whileDown();
    this.sweeper = this.#newSweeper();
    this.follower = this.#newFollower(old);
    const backend = embeddedBackend(this.#rig.chain);
    const spends = this.forgetsSpends ? undefined : this.spends;
    const events = await this.sweeper.restore(this.spend === undefined ? [] : [{ ...this.spent, spends }], {
      upToHeight: old.tip!.height,
      fees: this.fees,
      getBlock: async (height) => {
        // Pruned: what was stored has to suffice.
        if (!this.forgetsSpends) throw new Error('the block is not there any more (a test)');
        return backend.getBlock(height);
      },
    });
    this.#take(events);
    await this.start();
    await this.sweeper.publish();
  }

  /** The channel changed: its new value goes to the sweeper. */
  async update(): Promise<void> {
    this.sweeper.update(this.#rig.pair[this.#party].channel);
    await this.sweeper.publish();
  }
}

/** A funded channel on an embedded regtest chain, and both of its parties. */
export class CloseRig {
  readonly chain: RegtestChain;
  readonly policy: Partial<SweepPolicy>;
  readonly alice: RigNode;
  readonly bob: RigNode;
  readonly pair: ChannelPair;

  constructor(
    chain: RegtestChain,
    options: Omit<ChannelPairOptions, 'fund'> & { readonly policy?: Partial<SweepPolicy> },
  ) {
    this.chain = chain;
    this.policy = options.policy ?? {};
    this.alice = new RigNode(this, 'alice');
    this.bob = new RigNode(this, 'bob');
    for (const { wallet } of [this.alice, this.bob]) chain.mine({ blocks: 3, script: wallet.feeScript });
    chain.mine({ blocks: 100 });
    this.pair = new ChannelPair({
      ...options,
      fund: (script) => {
        const tx = this.alice.wallet.pay(script, options.fundingSat);
        chain.broadcast(tx);
        chain.mine();
        return { txid: txid(tx), index: 0 };
      },
    });
    this.pair.blockHeight = chain.height;
  }

  async start(): Promise<void> {
    await Promise.all([this.alice.start(), this.bob.start()]);
  }

  /** Mines blocks one by one, each handled by both before the next. */
  async mine(blocks = 1): Promise<void> {
    for (let i = 0; i < blocks; i++) {
      this.chain.mine();
      await Promise.all([this.alice.follower.waitUntilSynced(), this.bob.follower.waitUntilSynced()]);
    }
  }

  async mineTo(height: number): Promise<void> {
    await this.mine(height - this.chain.height);
  }
}
