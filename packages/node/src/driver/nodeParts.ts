import type { ChainBlock, ChainTip } from '@rivulet/chain';
import type { Channel, ChannelEvent } from '@rivulet/core/channel';
import type { Message } from '@rivulet/core/wire';
import type { Logger } from '../logging/logger.js';
import type { PeerInfo } from '../peers/index.js';
import type { NodePart } from './nodePart.js';
import type { ChannelKey, Turn } from './turns.js';

/** The parts of a node as one: each hears everything, in their order. */
export class NodeParts {
  readonly #parts: NodePart[] = [];
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Before the node starts. */
  add(...parts: readonly NodePart[]): void {
    this.#parts.push(...parts);
  }

  get wantsRevocations(): boolean {
    return this.#parts.some((part) => part.wantsRevocations?.() === true);
  }

  onEvent(turn: Turn, channel: Channel, event: ChannelEvent): void {
    for (const part of this.#parts) part.onEvent?.(turn, channel, event);
  }

  processBlock(turn: Turn, block: ChainBlock): void {
    for (const part of this.#parts) part.processBlock?.(turn, block);
  }

  undoBlock(turn: Turn, block: ChainTip): void {
    for (const part of this.#parts) part.undoBlock?.(turn, block);
  }

  onCommitted(changed: ReadonlySet<ChannelKey>): void {
    for (const part of this.#parts) this.#outside(() => part.onCommitted?.(changed));
  }

  rollBack(): void {
    // Each has to hear of it, whatever becomes of the others.
    for (const part of this.#parts) this.#outside(() => part.rollBack?.());
  }

  onMessage(peer: PeerInfo, message: Message): void {
    for (const part of this.#parts) this.#outside(() => part.onMessage?.(peer, message));
  }

  peerConnected(peer: PeerInfo): void {
    for (const part of this.#parts) this.#outside(() => part.peerConnected?.(peer));
  }

  peerDisconnected(nodeId: string): void {
    for (const part of this.#parts) this.#outside(() => part.peerDisconnected?.(nodeId));
  }

  async onCaughtUp(): Promise<void> {
    for (const part of this.#parts) await this.#outsideLater(async () => part.onCaughtUp?.());
  }

  async start(): Promise<void> {
    for (const part of this.#parts) await part.start?.();
  }

  async stop(): Promise<void> {
    for (const part of this.#parts.toReversed()) await this.#outsideLater(async () => part.stop?.());
  }

  /** Outside of turns a part's fault is its own: channels and payments go on without it. */
  #outside(call: () => void): void {
    try {
      call();
    } catch (err) {
      this.#logger.error({ err }, 'an internal fault beside the channels; report it');
    }
  }

  async #outsideLater(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (err) {
      this.#logger.error({ err }, 'an internal fault beside the channels; report it');
    }
  }
}
