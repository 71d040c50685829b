import { bytesToHex, compareBytes, equalBytes, hexToBytes } from '../bytes/index.js';
import {
  atBirth,
  atCapacity,
  atCltvDelta,
  atFeeBase,
  atFeeProportional,
  atMaximum,
  atMinimum,
  recordLength,
} from './channelTable.js';
import { grownCapacity, grownFloat64, grownUint8 } from './growable.js';
import type { NetworkGraph } from './networkGraph.js';
import type { DirectedChannel, HintHop, RouteRequest } from './route.js';

/** By node: one of our channels leads to it. */
export const leadsIn = 1;
/** By node: a hint's channel ends at it. */
export const hintEnds = 2;
/** By node: a hint's channel begins at it. */
export const hintBegins = 4;

/** By directed channel: not to be used. */
export const edgeExcluded = 1;
/** By directed channel: HTLCs of ours are in it. */
const edgeHeld = 2;

/** A channel that is not in the graph: of a hint. */
interface HintEdge {
  readonly from: number;
  readonly to: number;
  readonly shortChannelId: bigint;
  readonly direction: 0 | 1;
  readonly held: number;
}

/** More hints are not looked at: an invoice has room for some dozens of hops. */
const mostHintHops = 400;

/**
 * The graph as one request sees it: with the nodes and channels that only the request names, and without what
 * it excludes. A directed channel of the graph is 2 * channel + direction; a hint's channel is -2 - index.
 * Reused from request to request: `enter`, then `leave`.
 */
export class SearchSpace {
  readonly graph: NetworkGraph;
  nodeMarks = new Uint8Array(0);
  edgeMarks = new Uint8Array(0);
  /** Nodes that no route may lead over. */
  readonly blocked: number[] = [];
  /** Where our first hops lead: their indices in the request. */
  readonly firstHopsAt = new Map<number, number[]>();
  /** The records of the hints' channels, as in `ChannelTable.records`. */
  hintRecords = new Float64Array(0);
  readonly hintEdges: HintEdge[] = [];
  readonly hintsInto = new Map<number, number[]>();
  readonly hintsFrom = new Map<number, number[]>();
  /** Stands for us, at the beginning. */
  source = 0;
  destination = 0;
  /** All indices are below it. */
  nodeLimit = 0;
  readonly #held = new Map<number, number>();
  readonly #markedNodes: number[] = [];
  readonly #markedEdges: number[] = [];
  readonly #extraIds: Uint8Array[] = [];
  readonly #extraNodes = new Map<string, number>();
  #firstExtra = 0;

  constructor(graph: NetworkGraph) {
    this.graph = graph;
  }

  enter(request: RouteRequest): void {
    const { graph } = this;
    this.#firstExtra = graph.nodeTable.high;
    const extra = 2 + request.firstHops.length + Math.min(mostHintHops, countHops(request.hints));
    const nodes = this.#firstExtra + extra;
    if (nodes > this.nodeMarks.length) {
      this.nodeMarks = grownUint8(this.nodeMarks, grownCapacity(this.nodeMarks.length, nodes));
    }
    const edges = 2 * graph.channelTable.high;
    if (edges > this.edgeMarks.length) {
      this.edgeMarks = grownUint8(this.edgeMarks, grownCapacity(this.edgeMarks.length, edges));
    }
    this.source = this.#addExtra(request.source);
    const inGraph = graph.nodeTable.find(request.source);
    if (inGraph >= 0) this.blocked.push(inGraph);
    // A circle ends where it began, but it has to get there: its end is a node of its own, which only hints reach.
    this.destination = equalBytes(request.source, request.destination)
      ? this.#addExtra(request.destination)
      : this.#nodeOf(request.destination);
    for (const hex of request.excludedNodes) this.#exclude(hex);
    for (const key of request.excludedChannels) this.#markEdge(key, edgeExcluded);
    for (const [key, amountMsat] of request.inFlightMsat) {
      const directed = this.#markEdge(key, edgeHeld);
      if (directed >= 0) this.#held.set(directed, Number(amountMsat));
    }
    request.firstHops.forEach((hop, i) => {
      const node = this.#nodeOf(hop.nodeId);
      if (isExcluded(request, { ...hop, from: request.source, to: hop.nodeId })) return;
      this.#markNode(node, leadsIn);
      pushTo(this.firstHopsAt, node, i);
    });
    let left = mostHintHops;
    for (const hint of request.hints) {
      left -= hint.length;
      if (left < 0) break;
      this.#addHint(hint, request);
    }
    this.nodeLimit = this.#firstExtra + this.#extraIds.length;
  }

  leave(): void {
    for (const node of this.#markedNodes) this.nodeMarks[node] = 0;
    for (const edge of this.#markedEdges) this.edgeMarks[edge] = 0;
    this.#markedNodes.length = 0;
    this.#markedEdges.length = 0;
    this.#held.clear();
    this.#extraIds.length = 0;
    this.#extraNodes.clear();
    this.blocked.length = 0;
    this.firstHopsAt.clear();
    this.hintEdges.length = 0;
    this.hintsInto.clear();
    this.hintsFrom.clear();
  }

  /** What HTLCs of ours hold in a directed channel. */
  heldIn(directed: number): number {
    return directed < 0 ? (this.hintEdges[-2 - directed]?.held ?? 0) : (this.#held.get(directed) ?? 0);
  }

  /** Takes a directed channel of the graph out, until `leave`. */
  exclude(directed: number): void {
    this.#markedEdges.push(directed);
    this.edgeMarks[directed] = (this.edgeMarks[directed] as number) | edgeExcluded;
  }

  idOf(node: number): Uint8Array {
    if (node < this.#firstExtra) return this.graph.nodeTable.idOf(node);
    return (this.#extraIds[node - this.#firstExtra] as Uint8Array).slice();
  }

  /** The directed channel's name, and the index of the node that it leads to. */
  edgeAt(directed: number): { shortChannelId: bigint; direction: 0 | 1; to: number } {
    if (directed < 0) return this.hintEdges[-2 - directed] as HintEdge;
    const { channelTable } = this.graph;
    return {
      shortChannelId: channelTable.idOf(directed >> 1),
      direction: (directed & 1) as 0 | 1,
      to: channelTable.nodes[directed ^ 1] as number,
    };
  }

  /** The array and the place in it of the directed channel's record. */
  recordOf(directed: number): { records: Float64Array; at: number } {
    return directed < 0
      ? { records: this.hintRecords, at: recordLength * (-2 - directed) }
      : { records: this.graph.channelTable.records, at: recordLength * directed };
  }

  #addExtra(nodeId: Uint8Array): number {
    return this.#firstExtra + this.#extraIds.push(nodeId) - 1;
  }

  #nodeOf(nodeId: Uint8Array): number {
    const found = this.graph.nodeTable.find(nodeId);
    if (found >= 0) return found;
    const hex = bytesToHex(nodeId);
    const extra = this.#extraNodes.get(hex) ?? this.#addExtra(nodeId);
    this.#extraNodes.set(hex, extra);
    return extra;
  }

  #exclude(hex: string): void {
    const node = this.graph.nodeTable.find(hexToBytes(hex));
    if (node >= 0) this.blocked.push(node);
  }

  #markNode(node: number, mark: number): void {
    this.#markedNodes.push(node);
    this.nodeMarks[node] = (this.nodeMarks[node] as number) | mark;
  }

  #markEdge(key: DirectedChannel, mark: number): number {
    const slash = key.indexOf('/');
    const channel = this.graph.channelTable.find(BigInt(key.slice(0, slash)));
    if (channel < 0) return -1;
    const directed = 2 * channel + (key.endsWith('1') ? 1 : 0);
    this.#markedEdges.push(directed);
    this.edgeMarks[directed] = (this.edgeMarks[directed] as number) | mark;
    return directed;
  }

  #addHint(hint: readonly HintHop[], request: RouteRequest): void {
    hint.forEach((hop, i) => {
      const next = hint[i + 1]?.nodeId ?? request.destination;
      // Our own channels are the first hops; and a circle's middle is not at its ends.
      if (equalBytes(hop.nodeId, request.source)) return;
      if (i + 1 < hint.length && equalBytes(next, request.source)) return;
      if (isExcluded(request, { ...hop, from: hop.nodeId, to: next })) return;
      const direction = directionOf(hop.nodeId, next);
      const from = this.#nodeOf(hop.nodeId);
      const to = i + 1 < hint.length ? this.#nodeOf(next) : this.destination;
      const held = Number(request.inFlightMsat.get(`${hop.shortChannelId}/${direction}`) ?? 0n);
      const index =
        this.hintEdges.push({ from, to, shortChannelId: hop.shortChannelId, direction, held }) - 1;
      this.#writeRecord(index, hop);
      this.#markNode(from, hintBegins);
      this.#markNode(to, hintEnds);
      pushTo(this.hintsFrom, from, index);
      pushTo(this.hintsInto, to, index);
    });
  }

  #writeRecord(index: number, hop: HintHop): void {
    const at = recordLength * index;
    if (at + recordLength > this.hintRecords.length) {
      this.hintRecords = grownFloat64(
        this.hintRecords,
        grownCapacity(this.hintRecords.length, at + 8 * recordLength),
      );
    }
    const records = this.hintRecords;
    records.fill(0, at, at + recordLength);
    records[at + atMinimum] = Number(hop.htlcMinimumMsat ?? 0n);
    records[at + atMaximum] =
      hop.htlcMaximumMsat === undefined ? Number.MAX_SAFE_INTEGER : Number(hop.htlcMaximumMsat);
    records[at + atFeeBase] = hop.feeBaseMsat;
    records[at + atFeeProportional] = hop.feeProportionalMillionths;
    records[at + atCltvDelta] = hop.cltvExpiryDelta;
    records[at + atCapacity] = Number.POSITIVE_INFINITY;
    records[at + atBirth] = 0;
  }
}

/** 0 where `from` is the lesser id. */
export function directionOf(from: Uint8Array, to: Uint8Array): 0 | 1 {
  return compareBytes(from, to) < 0 ? 0 : 1;
}

/** Whether a channel that is not in the graph's tables, or its end, is one of those to avoid. */
export function isExcluded(
  request: RouteRequest,
  { shortChannelId, from, to }: { shortChannelId: bigint; from: Uint8Array; to: Uint8Array },
): boolean {
  const { excludedChannels, excludedNodes } = request;
  if (excludedChannels.size > 0 && excludedChannels.has(`${shortChannelId}/${directionOf(from, to)}`))
    return true;
  if (excludedNodes.size === 0) return false;
  return (
    excludedNodes.has(bytesToHex(to)) || (from !== request.source && excludedNodes.has(bytesToHex(from)))
  );
}

function countHops(hints: readonly (readonly HintHop[])[]): number {
  return hints.reduce((sum, hint) => sum + hint.length, 0);
}

function pushTo(map: Map<number, number[]>, key: number, value: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
