import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { limitOf } from './cheapestPath.js';
import type { KeyedChannel, KeyedGraph } from './keyedGraph.js';
import { type AnsweredHop, type PathAnswer, type PathQuery, pathLimits } from './pathQuery.js';

/** What a valid answer costs. */
export interface CheckedAnswer {
  readonly feeMsat: bigint;
  /** That all channels but the first ones have enough on the right side, were all balances equally likely. */
  readonly chance: number;
  readonly parts: number;
  readonly hops: number;
}

type Parts = NonNullable<PathAnswer['parts']>;

/** Checks answers by the graph's own rows, with no code of either path-finder. */
export class RouteChecker {
  readonly #channels: ReadonlyMap<bigint, KeyedChannel>;
  readonly #graph: KeyedGraph;

  constructor(graph: KeyedGraph) {
    this.#graph = graph;
    this.#channels = new Map(graph.channels.map((channel) => [channel.shortChannelId, channel]));
  }

  /** @throws RangeError with the rule that the answer breaks. */
  check(query: PathQuery, parts: Parts): CheckedAnswer {
    const demand = (condition: boolean, rule: string): void => {
      if (!condition) throw new RangeError(`a route breaks a rule: ${rule}`);
    };
    demand(parts.length > 0 && parts.length <= query.maxParts, 'its number of parts');
    const carried = new Map<string, bigint>();
    let arrived = 0n;
    let sent = 0n;
    let chance = 1;
    for (const hops of parts) {
      const last = hops.at(-1) as AnsweredHop;
      demand(equalBytes(last.nodeId, query.destination), 'it ends at the destination');
      demand(last.cltvDelta >= pathLimits.finalCltvDelta, 'the final delta');
      demand((hops[0] as AnsweredHop).cltvDelta <= pathLimits.maxCltvDelta, 'the most that it may last');
      demand(hops.length <= pathLimits.maxHops, 'its number of hops');
      arrived += last.amountMsat;
      sent += (hops[0] as AnsweredHop).amountMsat;
      chance *= this.#checkPart({ query, hops, carried, demand });
    }
    // More may arrive than was asked for, to reach some channel's minimum: that is a cost like fees.
    demand(arrived >= query.amountMsat, 'all arrives');
    demand(sent - query.amountMsat <= query.maxFeeMsat, 'the most that it may cost');
    return {
      feeMsat: sent - query.amountMsat,
      chance,
      parts: parts.length,
      hops: Math.max(...parts.map(({ length }) => length)),
    };
  }

  #checkPart({
    query,
    hops,
    carried,
    demand,
  }: {
    query: PathQuery;
    hops: readonly AnsweredHop[];
    /** By directed channel, of all parts. */
    carried: Map<string, bigint>;
    demand: (condition: boolean, rule: string) => void;
  }): number {
    let chance = 1;
    let from = query.source;
    for (const [i, hop] of hops.entries()) {
      const channel = this.#channels.get(hop.shortChannelId);
      demand(channel !== undefined, `channel ${hop.shortChannelId} exists`);
      const { nodes, directions, capacitySat } = channel as KeyedChannel;
      const [id1, id2] = nodes.map((node) => this.#graph.nodeIds[node] as Uint8Array);
      const side = equalBytes(id1 as Uint8Array, from) ? 0 : 1;
      const [begin, end] = side === 0 ? [id1, id2] : [id2, id1];
      demand(equalBytes(begin as Uint8Array, from), `a channel begins at ${bytesToHex(from)}`);
      demand(equalBytes(end as Uint8Array, hop.nodeId), `a channel ends at ${bytesToHex(hop.nodeId)}`);
      const direction = directions[side];
      demand(direction.enabled, 'its channels are enabled');
      const limit = BigInt(limitOf(direction, capacitySat));
      demand(hop.amountMsat >= BigInt(direction.htlcMinimumMsat), 'htlc_minimum_msat');
      demand(hop.amountMsat <= limit, 'htlc_maximum_msat, or the capacity');
      const key = `${hop.shortChannelId}/${side}`;
      const total = (carried.get(key) ?? 0n) + hop.amountMsat;
      carried.set(key, total);
      demand(total <= BigInt(capacitySat) * 1000n, 'the capacity, by all parts together');
      if (i === 0) demand(total <= limit, 'what the first channel can send, by all parts together');
      const before = hops[i - 1];
      if (before !== undefined) {
        const fee =
          BigInt(direction.feeBaseMsat) +
          (hop.amountMsat * BigInt(direction.feeProportionalMillionths)) / 1_000_000n;
        demand(before.amountMsat - hop.amountMsat >= fee, 'the fee');
        demand(before.cltvDelta - hop.cltvDelta >= direction.cltvExpiryDelta, 'cltv_expiry_delta');
        // What earlier parts hold here is gone before this one comes.
        const free = capacitySat * 1000 - Number(total - hop.amountMsat);
        chance *= Math.max(0, (free - Number(hop.amountMsat) + 1) / (free + 1));
      }
      from = hop.nodeId;
    }
    return chance;
  }
}
