import type { ChainBlock, ChainTip } from '@rivulet/chain';
import { equalBytes } from '@rivulet/core/bytes';
import { txid } from '@rivulet/core/tx';
import { fromShortChannelId } from '@rivulet/core/wire';
import type { Logger } from '../logging/logger.js';
import { ChainFollower } from '../onchain/chainFollower.js';
import type { CancelTimer, Scheduler } from '../peers/scheduler.js';
import type { GossipChain } from './gossipPorts.js';
import type { NetworkView } from './networkView.js';

/** BOLT 7: a channel is forgotten so many blocks after its funding output was spent: it may be a splice. */
const FORGET_AFTER_BLOCKS = 72;

/** Further behind than two weeks of blocks, all that is stored is stale: it is quicker to learn it anew. */
const MAX_BEHIND = 2_016;

/** Blocks of the node that are kept until the follower comes to them. */
const OFFERED_BLOCKS = 8;

const RETRY_MS = 60_000;

interface ChainWatchOptions {
  readonly chain: GossipChain;
  readonly view: NetworkView;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** How long a new block may take to be offered before it is fetched. */
  readonly blockDelayMs: number;
  /** After a block was handled or undone; what was found on chain before it may have changed. */
  readonly onTip: (change: { undone: boolean }) => void;
}

/** Follows the chain, to see the funding outputs of all channels being spent, or taken away. */
export class ChainWatch {
  readonly #given: ChainWatchOptions;
  #follower: ChainFollower | undefined;
  #listener: ((tip: ChainTip) => void) | undefined;
  #cancelDelay: CancelTimer | undefined;
  readonly #offered = new Map<number, ChainBlock>();
  #height: number | undefined;
  #tipHeight: number | undefined;
  #version = 0;
  #stopped = false;

  constructor(options: ChainWatchOptions) {
    this.#given = options;
  }

  /** The last block that was handled. */
  get height(): number | undefined {
    return this.#height;
  }

  /** Of the chain, as far as is known; blocks up to there may not be handled yet. */
  get tipHeight(): number | undefined {
    return this.#tipHeight;
  }

  /** Changes with every block that is handled or undone. */
  get version(): number {
    return this.#version;
  }

  /** Goes on where the store ends. @throws ChainError when the backend does not answer. */
  async start(): Promise<void> {
    const { chain, view, scheduler, logger } = this.#given;
    const blocks = view.store.loadBlocks();
    let last = blocks.at(-1);
    const tip = await chain.getTip();
    this.#tipHeight = tip.height;
    if (last === undefined || tip.height - last.height > MAX_BEHIND) {
      if (view.store.channelCount > 0) {
        logger.info({}, 'the stored network is too old to be followed to now: it is learned anew');
        view.removeAll();
      }
      last = { height: tip.height, hash: tip.hash };
      view.store.removeBlocksFrom(0);
      view.store.putBlock(last);
      blocks.length = 0;
    }
    this.#height = last.height;
    this.#follower = new ChainFollower({
      backend: {
        getTip: () => chain.getTip(),
        getBlockHash: (height) => chain.getBlockHash(height),
        getBlock: (at) => this.#getBlock(at),
        onTip: (listener) => {
          this.#listener = listener;
          return chain.onTip((newTip) => this.#seeTip(newTip));
        },
      },
      scheduler,
      start: last,
      recentHashes: blocks.slice(0, -1).map(({ hash }) => hash),
      onBlock: (block) => this.#handle(block),
      onUndo: (block) => this.#undo(block),
      onError: (error, retryInMs) => {
        if (retryInMs === undefined) this.#beginAnew(error);
        else logger.debug({ err: error, retryInMs }, 'gossip cannot follow the chain for now');
      },
    });
    this.#follower.start();
  }

  /** A block that the node has anyway: it need not be fetched again, and is looked at at once. */
  offer(block: ChainBlock): void {
    this.#offered.set(block.height, block);
    for (const oldest of this.#offered.keys()) {
      if (this.#offered.size <= OFFERED_BLOCKS) break;
      this.#offered.delete(oldest);
    }
    this.#listener?.({ height: block.height, hash: block.hash });
  }

  /** Resolves when all blocks that the backend has are handled. */
  async waitUntilSynced(): Promise<void> {
    await this.#follower?.waitUntilSynced();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelDelay?.();
    await this.#follower?.stop();
  }

  /** The node follows the same chain: it may offer the block in a moment, which so is fetched once. */
  #seeTip(tip: ChainTip): void {
    const { scheduler, blockDelayMs } = this.#given;
    this.#tipHeight = tip.height;
    if (blockDelayMs === 0) this.#listener?.(tip);
    else
      this.#cancelDelay ??= scheduler.schedule(blockDelayMs, () => {
        this.#cancelDelay = undefined;
        this.#listener?.(tip);
      });
  }

  /** The chain is another one than was followed: nothing that was learned of it can be told from what is gone. */
  #beginAnew(error: unknown): void {
    const { view, logger, scheduler, onTip } = this.#given;
    logger.warn({ err: error }, 'the chain was replaced too far back: the network is learned anew');
    view.removeAll();
    view.store.removeBlocksFrom(0);
    this.#version++;
    onTip({ undone: true });
    const again = () => {
      if (this.#stopped) return;
      this.start().catch(() => scheduler.schedule(RETRY_MS, again));
    };
    again();
  }

  async #getBlock(at: number | Uint8Array): Promise<ChainBlock | undefined> {
    const { chain } = this.#given;
    const offered = typeof at === 'number' ? this.#offered.get(at) : undefined;
    if (offered === undefined) return chain.getBlock(at);
    this.#offered.delete(offered.height);
    // A reorganisation may have overtaken it.
    const active = await chain.getBlockHash(offered.height);
    return active !== undefined && equalBytes(active, offered.hash) ? offered : chain.getBlock(at);
  }

  #handle(block: ChainBlock): void {
    const { view, logger, onTip } = this.#given;
    for (const transaction of block.transactions) {
      for (const { outpoint } of transaction.inputs) {
        for (const shortChannelId of view.findFunded(outpoint)) {
          if (!view.isGone(shortChannelId)) view.setGone(shortChannelId, block.height);
        }
      }
    }
    for (const [shortChannelId, height] of view.gone()) {
      if (isReorganised(shortChannelId, height)) this.#lookForReturn(shortChannelId, block);
      // BOLT 7: channel_announcement, receiving node: once spent or reorganized out: forget after 72 blocks
      if (view.isGone(shortChannelId) && block.height - height >= FORGET_AFTER_BLOCKS) {
        view.removeChannel(shortChannelId);
        logger.debug({ shortChannelId }, 'a channel that was closed is forgotten');
      }
    }
    view.store.putBlock({ height: block.height, hash: block.hash });
    this.#height = block.height;
    this.#tipHeight = Math.max(this.#tipHeight ?? 0, block.height);
    this.#version++;
    onTip({ undone: false });
  }

  /** After a reorganisation a funding transaction may be where it was before. */
  #lookForReturn(shortChannelId: bigint, block: ChainBlock): void {
    const { view } = this.#given;
    const { blockHeight, txIndex } = fromShortChannelId(shortChannelId);
    const transaction = blockHeight === block.height ? block.transactions[txIndex] : undefined;
    const expected = view.store.getChannel(shortChannelId)?.fundingTxid;
    if (transaction === undefined) return;
    if (expected === undefined || equalBytes(txid(transaction), expected)) view.setBack(shortChannelId);
  }

  #undo(block: ChainTip): void {
    const { view, onTip } = this.#given;
    for (const [shortChannelId, height] of view.gone()) {
      if (height === block.height && !isReorganised(shortChannelId, height)) view.setBack(shortChannelId);
    }
    const funded = BigInt(block.height) << 40n;
    for (const { shortChannelId } of view.store.summaries(funded)) {
      if (fromShortChannelId(shortChannelId).blockHeight !== block.height) break;
      view.setGone(shortChannelId, block.height);
    }
    view.store.removeBlocksFrom(block.height);
    this.#height = block.height - 1;
    this.#version++;
    onTip({ undone: true });
  }
}

/** Whether a channel is gone since the block that funded it: no channel is spent in that block. */
function isReorganised(shortChannelId: bigint, goneHeight: number): boolean {
  return fromShortChannelId(shortChannelId).blockHeight === goneHeight;
}
