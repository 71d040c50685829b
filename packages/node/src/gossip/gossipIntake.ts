import type { CancelTimer, Scheduler } from '../peers/scheduler.js';
import { TokenBucket } from '../peers/tokenBucket.js';
import { FairQueue } from './fairQueue.js';
import type { GossipLimits } from './gossipLimits.js';
import type { NewsMessage, ReplyMessage } from './gossipPorts.js';

type Incoming = NewsMessage | ReplyMessage;

interface GossipIntakeOptions {
  readonly scheduler: Scheduler;
  readonly limits: GossipLimits;
  readonly defer: (run: () => void) => void;
  /** Looks at a message. @returns how many signatures that took. */
  readonly handle: (peer: string, message: Incoming) => number;
  /** Whether what follows from a peer's messages has no room, so that they must wait. */
  readonly isFull: (peer: string) => boolean;
  /** Whether we asked this peer for what it sends. */
  readonly isAwaited: (peer: string) => boolean;
}

/** What a decoded message takes beside the bytes that it holds, roughly. */
const MESSAGE_BYTES = 900;
/** And an id of a reply, with timestamps and checksums. */
const ENTRY_BYTES = 160;
/** How long a peer waits that sent more than may be checked. */
const HOLD_MS = 1_000;
/** What a message costs that was dropped without checking a signature, as a part of one. */
const GLANCE = 0.02;

/**
 * What came from peers and was not looked at yet. Checking signatures is slow and payments must not wait for it: a
 * few milliseconds' worth is done in each turn of the event loop, one message of each peer in turn.
 */
export class GossipIntake {
  readonly #given: GossipIntakeOptions;
  readonly #queue: FairQueue<Incoming>;
  readonly #budgets = new Map<string, TokenBucket>();
  readonly #held = new Set<string>();
  #cancelHold: CancelTimer | undefined;
  #running = false;
  #stopped = false;

  constructor(options: GossipIntakeOptions) {
    this.#given = options;
    this.#queue = new FairQueue({
      sizeOf: memoryOf,
      maxPeerSize: options.limits.maxQueuedPeerBytes,
      maxSize: options.limits.maxQueuedBytes,
    });
  }

  /** Messages that wait, the memory that they take, and those for which there was no room. */
  get count(): number {
    return this.#queue.count;
  }

  get bytes(): number {
    return this.#queue.size;
  }

  get dropped(): number {
    return this.#queue.dropped;
  }

  countOf(peer: string): number {
    return this.#queue.countOf(peer);
  }

  push(peer: string, message: Incoming): void {
    if (this.#stopped) return;
    this.#queue.push(peer, message);
    this.wake();
  }

  /** There is room again for what follows. */
  wake(): void {
    if (this.#running || this.#stopped || this.#queue.count === 0) return;
    this.#running = true;
    this.#given.defer(() => this.#run());
  }

  drop(peer: string): void {
    this.#queue.drop(peer);
    this.#budgets.delete(peer);
    this.#held.delete(peer);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelHold?.();
  }

  #run(): void {
    this.#running = false;
    if (this.#stopped) return;
    const { scheduler, limits, handle } = this.#given;
    const start = scheduler.now();
    let signatures = 0;
    while (signatures < limits.signaturesPerSlice && scheduler.now() - start < limits.sliceMs) {
      const entry = this.#queue.next((peer) => !this.#held.has(peer) && !this.#given.isFull(peer));
      // Who is held or full is woken when that is over.
      if (entry === undefined) return;
      const cost = handle(entry.peer, entry.item);
      signatures += cost + GLANCE;
      if (cost > 0) this.#charge(entry.peer, cost);
    }
    this.wake();
  }

  /** What nobody asked for is checked only so fast, so that no peer can use up the processor. */
  #charge(peer: string, cost: number): void {
    if (this.#given.isAwaited(peer)) return;
    const { scheduler, limits } = this.#given;
    const budget = this.#budgets.get(peer) ?? new TokenBucket(scheduler, limits.signaturesPerPeer);
    this.#budgets.set(peer, budget);
    if (budget.take(cost)) return;
    this.#held.add(peer);
    this.#cancelHold ??= scheduler.schedule(HOLD_MS, () => {
      this.#cancelHold = undefined;
      this.#held.clear();
      this.wake();
    });
  }
}

function memoryOf(message: Incoming): number {
  switch (message.type) {
    case 'channel_announcement':
      return MESSAGE_BYTES + message.features.length + (message.extension?.length ?? 0);
    case 'node_announcement':
      return (
        MESSAGE_BYTES +
        message.features.length +
        300 * message.addresses.length +
        (message.extension?.length ?? 0)
      );
    case 'channel_update':
      return MESSAGE_BYTES + (message.extension?.length ?? 0);
    case 'reply_channel_range':
      return MESSAGE_BYTES + ENTRY_BYTES * message.shortChannelIds.length;
    case 'reply_short_channel_ids_end':
      return MESSAGE_BYTES;
    default:
      return message satisfies never;
  }
}
