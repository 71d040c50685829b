import type { ChainBlock } from '@rivulet/chain';
import { ByteWriter, bytesToHex, equalBytes, RivuletError } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { StorageError } from '@rivulet/storage';
import { channelLogger, type Logger } from '../logging/logger.js';
import { cancelFunding, cancellationOf } from '../wallet/index.js';
import type { Broadcaster } from './broadcaster.js';
import type { FundingStore } from './fundingStore.js';
import type { RivuletNode } from './node.js';
import type { NodePart } from './nodePart.js';
import type { ChannelKey, Turn } from './turns.js';

const abandonedPrefix = 'abandoned/';

/** Confirmations of the cancellation, at least, after which a channel is forgotten. */
const leastDepth = 6;

/**
 * - `not_opener`: the peer's coins are in the funding transaction, not ours.
 * - `funding_confirmed`: a block has the funding transaction: the channel has to be closed.
 * - `channel_in_use`: payments were possible over the channel: it has to be closed first.
 * - `already_abandoned`: its cancellation waits for a block.
 */
type AbandonmentErrorCode =
  | 'not_opener'
  | 'funding_confirmed'
  | 'channel_in_use'
  | 'already_abandoned'
  | 'unknown_channel';

/** Why a channel cannot be abandoned. Nothing was changed. */
class AbandonmentError extends RivuletError<AbandonmentErrorCode> {}

export interface AbandonmentOptions {
  readonly fundings: FundingStore;
  readonly broadcaster: Broadcaster;
  readonly logger: Logger;
}

type AbandoningNode = Pick<RivuletNode, 'turns' | 'storage' | 'wallet' | 'policy'>;

export interface AbandonRequest {
  readonly key: ChannelKey;
  readonly estimatePerKw: number;
  readonly feeratePerKw?: number | undefined;
  readonly maxFeeSat?: bigint | undefined;
  readonly reserveSat: bigint;
  readonly nowMs: number;
}

/**
 * Channels of ours whose funding transaction does not confirm, and whose coins we take back: another transaction
 * spends them to the wallet (the cancellation). Until that is buried either of the two may be mined, so the channel
 * stays, and the peer is told nothing: a peer that fails the channel publishes its commitment, and with that its
 * mempool holds on to the funding transaction. For the same reason nothing of ours that is of the channel is
 * published while the cancellation waits. If the funding transaction is mined after all, our commitment is published
 * and brings the coins back (BOLT 5). What is to be done follows from the mark, the channel and the wallet alone, so
 * restarts and reorganisations need no more.
 */
export class Abandonment implements NodePart {
  readonly #node: AbandoningNode;
  readonly #options: AbandonmentOptions;
  readonly #depth: number;
  #abandoned: Set<ChannelKey>;

  constructor(node: AbandoningNode, options: AbandonmentOptions) {
    this.#node = node;
    this.#options = options;
    this.#depth = Math.max(leastDepth, node.policy.watchDepth ?? leastDepth);
    this.#abandoned = this.#load();
    options.broadcaster.withhold((tx) => this.#withholds(tx));
  }

  #load(): Set<ChannelKey> {
    const marks = this.#node.storage.listValues(abandonedPrefix);
    return new Set(marks.map(({ key }) => key.slice(abandonedPrefix.length)));
  }

  rollBack(): void {
    this.#abandoned = this.#load();
  }

  /** The transaction that takes a channel's coins back and waits for its burial; `undefined` if none does. */
  cancellation({ params, phase, readiness }: Channel): ReturnType<typeof cancellationOf> {
    if (!this.#abandoned.has(bytesToHex(params.channelId)) || readiness.fundingConfirmed !== undefined)
      return;
    if (phase.name === 'spent' || phase.name === 'closed') return;
    return cancellationOf(this.#node.wallet.state, params.fundingOutpoint.txid);
  }

  /** Whether a channel's coins are being taken back, so that nothing of it is published. */
  isPending(channel: Channel): boolean {
    return this.cancellation(channel) !== undefined;
  }

  /** What a channel waits for, for people. */
  noteOf(channel: Channel): string | undefined {
    const cancellation = this.cancellation(channel);
    if (cancellation === undefined) return undefined;
    return (
      `abandoned: its coins are taken back by ${txidToHex(cancellation.txid)}, ` +
      `which has ${cancellation.confirmations} of ${this.#depth} confirmations`
    );
  }

  /** The funding transaction of such a channel, and what spends it. */
  #withholds(tx: Transaction): boolean {
    if (this.#abandoned.size === 0) return false;
    const id = txid(tx);
    for (const key of this.#abandoned) {
      const channel = this.#node.turns.channels.get(key);
      if (channel === undefined || !this.isPending(channel)) continue;
      const funding = channel.params.fundingOutpoint.txid;
      if (equalBytes(id, funding)) return true;
      if (tx.inputs.some(({ outpoint }) => equalBytes(outpoint.txid, funding))) return true;
    }
    return false;
  }

  /**
   * Takes the coins of a channel back. Resolves with the cancellation once it is stored; it is yet to be broadcast.
   * What was pushed to the peer comes back too.
   * @throws AbandonmentError, WalletError: then nothing was changed.
   */
  abandon(request: AbandonRequest): Promise<Transaction> {
    return new Promise((resolve, reject) => {
      this.#node.turns.enqueue({
        run: (turn) => {
          try {
            const tx = this.#abandon(turn, request);
            turn.afterCommit(() => resolve(tx));
          } catch (error) {
            if (!(error instanceof RivuletError) || error instanceof StorageError) throw error;
            turn.afterCommit(() => reject(error));
          }
        },
        failed: reject,
      });
    });
  }

  #abandon(turn: Turn, { key, ...request }: AbandonRequest): Transaction {
    const { wallet } = this.#node;
    const channel = turn.channels.get(key);
    if (channel === undefined) throw new AbandonmentError('unknown_channel', `there is no channel ${key}`);
    this.#check(channel);
    const tx = cancelFunding(wallet, {
      ...request,
      txid: channel.params.fundingOutpoint.txid,
      tx: turn.tx,
    });
    turn.tx.putValue(abandonedPrefix + key, new ByteWriter(1).u8(1).finish());
    this.#abandoned.add(key);
    turn.afterCommit(() =>
      channelLogger(this.#options.logger, key).info(
        { txid: txidToHex(txid(tx)) },
        'this channel is abandoned: its coins are taken back, and it is forgotten when that is final',
      ),
    );
    return tx;
  }

  #check(channel: Channel): void {
    const { params, phase, readiness, localCommit, remoteCommit, htlcs } = channel;
    if (!params.localIsOpener) {
      throw new AbandonmentError(
        'not_opener',
        'the peer has opened this channel, and its coins are the ones in it: there is nothing to take back',
      );
    }
    if (readiness.fundingConfirmed !== undefined || phase.name === 'spent' || phase.name === 'closed') {
      throw new AbandonmentError(
        'funding_confirmed',
        'the funding transaction of this channel is in a block: close the channel instead',
      );
    }
    const cancellation = this.cancellation(channel);
    if (cancellation !== undefined) {
      const txidHex = txidToHex(cancellation.txid);
      throw new AbandonmentError(
        'already_abandoned',
        `this channel is abandoned already: \`rivulet bump ${txidHex}\` has its coins come back sooner`,
      );
    }
    // From now on nothing may be paid over it: it cannot open before its funding confirms, or never again.
    const cannotOpen = phase.name === 'awaiting_ready' && !readiness.localSent && !params.format.zeroConf;
    const isOver = phase.name === 'failed' || phase.name === 'closing';
    const isUnused = htlcs.size === 0 && localCommit.number === 0n && remoteCommit.number === 0n;
    if ((!cannotOpen && !isOver) || !isUnused) {
      throw new AbandonmentError(
        'channel_in_use',
        isUnused && phase.name !== 'stale'
          ? 'this channel was ready for payments: close it with --force first, then it can be abandoned'
          : 'this channel may have carried payments: its commitment has to bring the coins back; close it with --force',
      );
    }
  }

  processBlock(turn: Turn, { height }: Pick<ChainBlock, 'height'>): void {
    for (const key of [...this.#abandoned]) {
      const channel = turn.channels.get(key);
      if (channel === undefined || channel.phase.name === 'closed') this.#unmark(turn, key);
      else if (channel.readiness.fundingConfirmed !== undefined) this.#goToChain(turn, key, channel);
      else if ((this.cancellation(channel)?.confirmations ?? 0) >= this.#depth) {
        this.#forget(turn, { key, channel, height });
      }
    }
  }

  #unmark(turn: Turn, key: ChannelKey): void {
    turn.tx.deleteValue(abandonedPrefix + key);
    this.#abandoned.delete(key);
  }

  /** The funding transaction was mined first. Where a close is under way already it goes on by itself. */
  #goToChain(turn: Turn, key: ChannelKey, { phase }: Channel): void {
    if (phase.name !== 'awaiting_ready' && phase.name !== 'open') return;
    turn.command(key, { type: 'forceClose' });
    // One whose data may be old refuses: it goes on until its peer has shown what is the latest.
    if (turn.channels.get(key)?.phase.name !== 'failed') return;
    turn.afterCommit(() =>
      channelLogger(this.#options.logger, key).warn(
        'the funding transaction of this abandoned channel was mined after all: the channel is closed on chain',
      ),
    );
  }

  #forget(turn: Turn, { key, channel, height }: { key: ChannelKey; channel: Channel; height: number }): void {
    const { fundings, broadcaster, logger } = this.#options;
    const { channelId, remoteNodeId, fundingOutpoint } = channel.params;
    const data = Uint8Array.from('the channel was never funded', (character) => character.charCodeAt(0));
    turn.send(bytesToHex(remoteNodeId), { type: 'error', channelId, data });
    turn.removeChannel(key);
    fundings.forget(turn.tx, key);
    this.#unmark(turn, key);
    turn.afterCommit(() => {
      broadcaster.forget(fundingOutpoint.txid);
      channelLogger(logger, key).info(
        { height },
        'the coins of this abandoned channel are back: it is forgotten',
      );
    });
  }
}
