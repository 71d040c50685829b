import type { ChannelFacts } from './chaosChildProtocol.js';

/** A channel as all its nodes have told of it. */
export interface KnownChannel {
  readonly channelId: string;
  /** Places of its nodes in the list; `opener` is one of them. */
  readonly opener: number;
  readonly accepter: number;
  readonly anchors: boolean;
  readonly fundingTxidHex: string;
  readonly fundingOutputIndex: number;
  readonly fundingSat: bigint;
  readonly pushMsat: bigint;
  /** As each node, by its place, saw it last. */
  readonly last: Map<number, ChannelFacts>;
}

/** Phases that only a close by force leads to; `spent` is that of any close. */
const forcedPhases: ReadonlySet<string> = new Set(['failed', 'stale']);

/** All channels that there ever were, and which of them chaos closed. */
export class ChannelRegistry {
  readonly channels = new Map<string, KnownChannel>();
  readonly #nodeIndex: (nodeId: string) => number;
  readonly #onUnexpected: (what: string) => void;
  /** Why chaos closes it. */
  readonly #closing = new Map<string, string>();
  readonly #reported = new Set<string>();

  constructor(given: { nodeIndex: (nodeId: string) => number; onUnexpected: (what: string) => void }) {
    this.#nodeIndex = given.nodeIndex;
    this.#onUnexpected = given.onUnexpected;
  }

  /** To be called before it is asked for. */
  willClose(channelId: string, why: string): void {
    this.#closing.set(channelId, why);
  }

  isClosing(channelId: string): boolean {
    return this.#closing.has(channelId);
  }

  saw(node: number, channels: readonly ChannelFacts[]): void {
    const present = new Set<string>();
    for (const facts of channels) {
      present.add(facts.channelId);
      this.#saw(node, facts);
    }
    for (const [channelId, known] of this.channels) {
      const before = known.last.get(node);
      // A channel that was never funded may be forgotten; one that was is kept, or is over.
      if (before !== undefined && !present.has(channelId) && before.phase !== 'closed') {
        if (before.phase === 'awaiting_ready' || before.phase === 'failed') known.last.delete(node);
        else this.#report(channelId, `node ${node} has forgotten channel ${channelId} (${before.phase})`);
      }
    }
  }

  #saw(node: number, facts: ChannelFacts): void {
    const { channelId } = facts;
    let known = this.channels.get(channelId);
    if (known === undefined) {
      const other = this.#nodeIndex(facts.remoteNodeId);
      known = {
        ...facts,
        opener: facts.localIsOpener ? node : other,
        accepter: facts.localIsOpener ? other : node,
        last: new Map(),
      };
      this.channels.set(channelId, known);
    }
    known.last.set(node, facts);
    if (this.#closing.has(channelId)) return;
    // Its opener died before it kept the channel, and will never fund it: nothing is lost with it.
    if (node === known.accepter && !known.last.has(known.opener)) return;
    const { phase, error = '' } = facts;
    if (phase === 'closing' || phase === 'spent' || phase === 'closed' || forcedPhases.has(phase)) {
      this.#report(
        channelId,
        `an unexpected end of channel ${channelId}: ${phase} at node ${node} ${error}`.trim(),
      );
    }
  }

  #report(channelId: string, what: string): void {
    const key = `${channelId} ${what}`;
    if (this.#reported.has(key)) return;
    this.#reported.add(key);
    this.#onUnexpected(what);
  }
}
