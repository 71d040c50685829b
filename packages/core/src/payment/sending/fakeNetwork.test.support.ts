import { bytesToHex } from '../../bytes/index.js';
import type { Settlement } from '../../channel/index.js';
import {
  createRouteFinder,
  type DirectedChannel,
  type FirstHop,
  LiquidityEstimates,
  type LiquidityObservation,
  NetworkGraph,
  type Route,
  type RouteHop,
  type RouteRequest,
  type RouteResult,
} from '../../graph/index.js';
import {
  createAttributedFailure,
  type FailureMessage,
  failureFromMalformed,
  peelOnion,
  readFinalPayload,
  readForwardPayload,
  wrapAttributedFailure,
} from '../../onion/index.js';
import type { Dice } from './dice.test.support.js';
import type { NewAttempt } from './planSending.js';
import { blockHeight, nodeId, privateKeyOf, updateFor } from './samples.test.support.js';
import { directedChannel } from './sending.js';

interface Policy {
  readonly base: number;
  readonly proportional: number;
  readonly delta: number;
  readonly minimum: bigint;
}

/** A channel of two nodes; what each can send, and on which terms. */
interface FakeChannel {
  readonly id: bigint;
  readonly nodes: readonly [number, number];
  readonly balances: [bigint, bigint];
  /** What is asked for. */
  readonly policies: readonly [Policy, Policy];
  /** What is known of it, perhaps from before. */
  readonly announced: readonly [Policy, Policy];
}

/** An HTLC of ours that has not come back yet. */
interface Travelling {
  readonly id: number;
  readonly attempt: NewAttempt;
  /** What its amounts were taken from, and go back to. */
  readonly locked: readonly { channel: FakeChannel; side: 0 | 1; amountMsat: bigint }[];
  readonly state: 'failing' | 'held' | 'paid' | 'stuck';
  readonly settlement?: Settlement;
  readonly sharedSecrets: readonly Uint8Array[];
}

export interface NetworkOptions {
  readonly nodes: number;
  readonly channels: number;
  /** Nodes that answer what they like. */
  readonly hostile: ReadonlySet<number>;
  /** How often announced terms are old. */
  readonly stale: number;
  /** How often a failure brings the terms that it is about. */
  readonly updates: number;
  readonly destination: number;
  readonly destinationRefuses: boolean;
  readonly attributed: boolean;
  readonly amountMsat: bigint;
}

export type Outcome =
  | { readonly id: number; readonly type: 'fulfilled' }
  | {
      readonly id: number;
      readonly type: 'failed';
      readonly settlement: Exclude<Settlement, { type: 'fulfill' }> | { readonly type: 'timed_out_on_chain' };
    };

const forwardFailures: readonly FailureMessage['type'][] = [
  'temporary_node_failure',
  'permanent_node_failure',
  'required_node_feature_missing',
  'temporary_channel_failure',
  'permanent_channel_failure',
  'unknown_next_peer',
  'fee_insufficient',
  'incorrect_cltv_expiry',
  'amount_below_minimum',
  'expiry_too_soon',
  'expiry_too_far',
  'channel_disabled',
  'invalid_onion_payload',
  'incorrect_or_unknown_payment_details',
  'final_incorrect_htlc_amount',
  'final_incorrect_cltv_expiry',
  'mpp_timeout',
  'invalid_onion_hmac',
  'invalid_onion_blinding',
];

/** A Lightning network as far as a sender sees it: real onions, balances, terms, and nodes that lie. We are node 0. */
export class FakeNetwork {
  readonly #dice: Dice;
  readonly #options: NetworkOptions;
  readonly channels: FakeChannel[] = [];
  readonly #travelling = new Map<number, Travelling>();
  #real:
    | {
        search(request: RouteRequest): RouteResult;
        observe(observation: LiquidityObservation, inFlightMsat: bigint): void;
      }
    | undefined;
  /** What the search learned: a channel does not carry so much. */
  readonly #bounds = new Map<DirectedChannel, bigint>();
  /** Delivered and paid, and the fees of it. */
  paid = { amountMsat: 0n, feeMsat: 0n, htlcs: 0 };
  /** How often our own channels refuse without a reason. */
  refusals = 0.05;

  constructor(dice: Dice, options: NetworkOptions) {
    this.#dice = dice;
    this.#options = options;
    const policy = (): Policy => ({
      base: dice.below(3000),
      proportional: dice.below(3000),
      delta: 10 + dice.below(60),
      minimum: BigInt(1 + dice.below(2) * dice.below(200_000)),
    });
    for (let i = 0; i < options.channels; i++) {
      const a = i < options.nodes - 1 ? i : dice.below(options.nodes);
      const b = i < options.nodes - 1 ? i + 1 : dice.below(options.nodes);
      if (a === b) continue;
      const policies: [Policy, Policy] = [policy(), policy()];
      const balance = () => BigInt(Math.floor(dice.next() * 2 * Number(options.amountMsat)));
      this.channels.push({
        id: BigInt(i + 1),
        nodes: isBefore(a, b) ? [a, b] : [b, a],
        balances: [balance(), balance()],
        policies,
        announced: dice.chance(options.stale) ? [cheaper(policies[0]), cheaper(policies[1])] : policies,
      });
    }
  }

  firstHops(): FirstHop[] {
    return this.channels
      .filter(({ nodes }) => nodes.includes(0))
      .map((channel) => {
        const side = channel.nodes[0] === 0 ? 0 : 1;
        return {
          nodeId: nodeId(channel.nodes[1 - side] as number),
          shortChannelId: channel.id,
          spendableMsat: channel.balances[side],
          minimumMsat: 1n,
        };
      });
  }

  observe(observations: readonly LiquidityObservation[]): void {
    for (const observation of observations) {
      const key = directedChannel(observation);
      const heldMsat = this.inFlightMsat().get(key) ?? 0n;
      this.#real?.observe(observation, heldMsat);
      const known = this.#bounds.get(key);
      if (observation.outcome !== 'refused') continue;
      if (known === undefined || observation.amountMsat < known)
        this.#bounds.set(key, observation.amountMsat);
    }
  }

  /** From now on, routes are looked for by the search that Rivulet uses, in a graph of what is announced. */
  useRealSearch(): void {
    const graph = new NetworkGraph();
    const capacitySat = (this.#options.amountMsat * 4n) / 1000n + 1n;
    for (const { id, nodes, announced } of this.channels) {
      const [nodeId1, nodeId2] = [nodeId(nodes[0]), nodeId(nodes[1])];
      graph.addChannel({ shortChannelId: id, nodeId1, nodeId2, capacitySat });
      for (const direction of [0, 1] as const) {
        const policy = announced[direction];
        graph.updateChannel({
          shortChannelId: id,
          direction,
          timestamp: 1,
          disabled: false,
          cltvExpiryDelta: policy.delta,
          htlcMinimumMsat: policy.minimum,
          htlcMaximumMsat: capacitySat * 1000n,
          feeBaseMsat: policy.base,
          feeProportionalMillionths: policy.proportional,
        });
      }
    }
    const liquidity = new LiquidityEstimates();
    const finder = createRouteFinder(graph);
    this.#real = {
      search: (request) => finder.findRoutes({ request, liquidity }),
      observe: (observation, inFlightMsat) =>
        liquidity.observe(observation, { nowMs: 1, capacityMsat: capacitySat * 1000n, inFlightMsat }),
    };
  }

  /** What is on the way or was paid. */
  exposure(): { amountMsat: bigint; feeMsat: bigint; inFlight: number } {
    let { amountMsat, feeMsat } = this.paid;
    for (const { attempt } of this.#travelling.values()) {
      const delivered = attempt.route.hops.at(-1)?.amountMsat as bigint;
      amountMsat += delivered;
      feeMsat += attempt.htlc.amountMsat - delivered;
    }
    return { amountMsat, feeMsat, inFlight: this.#travelling.size };
  }

  /** What the payment's HTLCs hold. */
  inFlightMsat(): Map<DirectedChannel, bigint> {
    const held = new Map<DirectedChannel, bigint>();
    for (const { attempt } of this.#travelling.values()) {
      for (const hop of attempt.route.hops.slice(1)) {
        const key = directedChannel(hop);
        held.set(key, (held.get(key) ?? 0n) + hop.amountMsat);
      }
    }
    return held;
  }

  /** Adds an HTLC to our channel; a reason where it is refused. */
  add(attempt: NewAttempt): { code: string; message: string } | undefined {
    if (this.#dice.chance(this.refusals)) {
      return {
        code: this.#dice.pick(['peer_offline', 'in_flight_limit', 'dust_exposure']),
        message: 'not now',
      };
    }
    const channel = this.channels.find(({ id }) => id === attempt.shortChannelId);
    if (channel === undefined) return { code: 'channel_not_open', message: 'there is no such channel' };
    const side = channel.nodes[0] === 0 ? 0 : 1;
    if (channel.balances[side] < attempt.htlc.amountMsat) {
      return { code: 'amount_unaffordable', message: 'too much' };
    }
    this.#travelling.set(attempt.id, this.#forward(attempt, { channel, side }));
    return undefined;
  }

  #forward(attempt: NewAttempt, first: { channel: FakeChannel; side: 0 | 1 }): Travelling {
    const { paymentHash } = attempt.htlc;
    const locked: { channel: FakeChannel; side: 0 | 1; amountMsat: bigint }[] = [];
    const sharedSecrets: Uint8Array[] = [];
    let { channel, side } = first;
    let { amountMsat, cltvExpiry, onion } = attempt.htlc;
    const failing = (failure: FailureMessage): Travelling => ({
      id: attempt.id,
      attempt,
      locked,
      state: 'failing',
      settlement: this.#failureOf(failure, sharedSecrets, channel.nodes[1 - side] as number),
      sharedSecrets,
    });
    for (;;) {
      channel.balances[side] -= amountMsat;
      locked.push({ channel, side, amountMsat });
      const node = channel.nodes[1 - side] as number;
      const peeled = peelOnion({
        privateKey: privateKeyOf(node),
        packet: onion,
        associatedData: paymentHash,
      });
      if (peeled.type !== 'forward' && peeled.type !== 'final') throw new Error(`an onion is ${peeled.type}`);
      sharedSecrets.push(peeled.sharedSecret);
      if (peeled.type === 'final') {
        const payload = readFinalPayload(peeled.payload);
        if (payload.amountToForwardMsat !== amountMsat || payload.outgoingCltvValue > cltvExpiry) {
          throw new Error('what arrives is not what the onion says');
        }
        if (this.#options.destinationRefuses) {
          return failing({
            type: 'incorrect_or_unknown_payment_details',
            htlcMsat: amountMsat,
            height: blockHeight,
          });
        }
        const state = payload.paymentData === undefined ? 'paid' : 'held';
        return { id: attempt.id, attempt, locked, state, sharedSecrets };
      }
      if (this.#options.hostile.has(node)) {
        if (this.#dice.chance(0.1)) return { id: attempt.id, attempt, locked, state: 'stuck', sharedSecrets };
        if (this.#dice.chance(0.8)) return failing(this.#lie(attempt, sharedSecrets.length));
      }
      const payload = readForwardPayload(peeled.payload);
      const next = this.channels.find(({ id }) => id === payload.shortChannelId);
      if (next === undefined) return failing({ type: 'unknown_next_peer' });
      const nextSide = next.nodes[0] === node ? 0 : 1;
      const refusal = this.#refusal(next, nextSide, { amountMsat, cltvExpiry, payload });
      if (refusal !== undefined) return failing(refusal);
      ({ outgoingCltvValue: cltvExpiry, amountToForwardMsat: amountMsat } = payload);
      onion = peeled.nextPacket;
      channel = next;
      side = nextSide;
    }
  }

  #refusal(
    next: FakeChannel,
    side: 0 | 1,
    {
      amountMsat,
      cltvExpiry,
      payload,
    }: { amountMsat: bigint; cltvExpiry: number; payload: ReturnType<typeof readForwardPayload> },
  ): FailureMessage | undefined {
    const policy = next.policies[side];
    const outMsat = payload.amountToForwardMsat;
    const channelUpdate = this.#dice.chance(this.#options.updates)
      ? updateOf(next, side, policy)
      : new Uint8Array(0);
    if (outMsat < policy.minimum) return { type: 'amount_below_minimum', htlcMsat: outMsat, channelUpdate };
    if (amountMsat - outMsat < feeOf(policy, outMsat)) {
      return { type: 'fee_insufficient', htlcMsat: amountMsat, channelUpdate };
    }
    if (cltvExpiry - payload.outgoingCltvValue < policy.delta) {
      return { type: 'incorrect_cltv_expiry', cltvExpiry, channelUpdate };
    }
    if (next.balances[side] < outMsat) return { type: 'temporary_channel_failure', channelUpdate };
    return undefined;
  }

  /** Any failure, with any update, of any node's code. */
  #lie(attempt: NewAttempt, hopIndex: number): FailureMessage {
    const type = this.#dice.pick(forwardFailures);
    const next = attempt.route.hops[hopIndex] as RouteHop;
    const channel = this.channels.find(({ id }) => id === next.shortChannelId) as FakeChannel;
    const policy: Policy = {
      base: this.#dice.below(20_000),
      proportional: this.#dice.below(5000),
      delta: this.#dice.below(400),
      minimum: BigInt(this.#dice.below(2_000_000)),
    };
    const updates = [new Uint8Array(0), this.#dice.bytes(138), updateOf(channel, next.direction, policy)];
    return {
      type,
      channelUpdate: this.#dice.pick(updates),
      htlcMsat: BigInt(this.#dice.below(1_000_000)),
      height: this.#dice.below(2_000_000),
      cltvExpiry: this.#dice.below(2_000_000),
      incomingHtlcMsat: 1n,
      disabledFlags: 0,
      tlvType: 2n,
      offset: 0,
      sha256OfOnion: this.#dice.bytes(32),
    } as FailureMessage;
  }

  #failureOf(failure: FailureMessage, secrets: readonly Uint8Array[], node: number): Settlement {
    const { attributed, hostile } = this.#options;
    const [own, ...others] = [...secrets].reverse() as [Uint8Array, ...Uint8Array[]];
    if (hostile.has(node) && others.length === 0 && this.#dice.chance(0.1)) {
      return {
        type: 'fail_malformed',
        sha256OfOnion: this.#dice.bytes(32),
        failureCode: 0x8000 | this.#dice.below(0x8000),
      };
    }
    if (hostile.has(node) && others.length > 0 && this.#dice.chance(0.1)) {
      const before = others.shift() as Uint8Array;
      const malformed = failureFromMalformed(0xc005, this.#dice.bytes(32));
      return this.#wrapped(
        createAttributedFailure({ sharedSecret: before, failure: malformed, holdTimeMs: 0 }),
        others,
      );
    }
    const made = createAttributedFailure({ sharedSecret: own, failure, holdTimeMs: 100 });
    if (hostile.has(node) && this.#dice.chance(0.2)) made.reason.set(this.#dice.bytes(40), 0);
    const settlement = this.#wrapped(made, others);
    if (attributed || settlement.type !== 'fail') return settlement;
    return { type: 'fail', reason: settlement.reason };
  }

  #wrapped(
    made: { reason: Uint8Array; attributionData: Uint8Array },
    secrets: readonly Uint8Array[],
  ): Settlement {
    let failure = made;
    for (const sharedSecret of secrets)
      failure = wrapAttributedFailure({ sharedSecret, ...failure, holdTimeMs: 10 });
    return { type: 'fail', ...failure };
  }

  /** One thing that happens next to the HTLCs on the way; nothing where there are none. */
  next(totalMsat: bigint): Outcome | undefined {
    const all = [...this.#travelling.values()];
    const held = all.filter(({ state }) => state === 'held');
    const complete =
      held.reduce((sum, { attempt }) => sum + attempt.route.amountMsat, this.paid.amountMsat) >= totalMsat;
    const ready = all.filter(
      ({ state }) => state === 'failing' || state === 'paid' || (state === 'held' && complete),
    );
    if (ready.length > 0) return this.#resolve(this.#dice.pick(ready));
    // Nothing moves any more: the destination gives up, and then the chain decides.
    const [waiting] = held;
    if (waiting !== undefined) {
      const failure: FailureMessage = { type: 'mpp_timeout' };
      const settlement = this.#failureOf(failure, waiting.sharedSecrets, this.#options.destination);
      return this.#resolve({ ...waiting, state: 'failing', settlement });
    }
    const [stuck] = all;
    if (stuck === undefined) return undefined;
    this.#return(stuck);
    return { id: stuck.id, type: 'failed', settlement: { type: 'timed_out_on_chain' } };
  }

  #resolve(htlc: Travelling): Outcome {
    const { settlement, id, attempt } = htlc;
    if (settlement !== undefined && settlement.type !== 'fulfill') {
      this.#return(htlc);
      return { id, type: 'failed', settlement };
    }
    this.#travelling.delete(id);
    for (const { channel, side, amountMsat } of htlc.locked)
      channel.balances[side === 0 ? 1 : 0] += amountMsat;
    const delivered = attempt.route.amountMsat;
    this.paid = {
      amountMsat: this.paid.amountMsat + delivered,
      feeMsat: this.paid.feeMsat + attempt.htlc.amountMsat - delivered,
      htlcs: this.paid.htlcs + 1,
    };
    return { id, type: 'fulfilled' };
  }

  #return(htlc: Travelling): void {
    this.#travelling.delete(htlc.id);
    for (const { channel, side, amountMsat } of htlc.locked) channel.balances[side] += amountMsat;
  }

  /** The cheapest ways by what is announced; `terms` says what is known otherwise. */
  findRoutes(request: RouteRequest, known: 'announced' | 'truth' = 'announced'): RouteResult {
    if (this.#real !== undefined && known === 'announced') return this.#real.search(request);
    if (request.firstHops.length === 0) return { type: 'none', reason: 'no_channels' };
    const taken = new Map<bigint, bigint>();
    const held = new Map(request.inFlightMsat);
    const split = (amountMsat: bigint, parts: number, maxFeeMsat: bigint): Route[] | undefined => {
      const route = this.#cheapest({ ...request, amountMsat }, { known, taken, held });
      if (route !== undefined && route.feeMsat <= maxFeeMsat) {
        const [first] = route.hops as [RouteHop];
        taken.set(first.shortChannelId, (taken.get(first.shortChannelId) ?? 0n) + first.amountMsat);
        for (const hop of route.hops.slice(1)) {
          const key = directedChannel(hop);
          held.set(key, (held.get(key) ?? 0n) + hop.amountMsat);
        }
        return [route];
      }
      if (parts < 2 || amountMsat < 2n) return undefined;
      const half = amountMsat / 2n;
      const one = split(half, Math.floor(parts / 2), maxFeeMsat / 2n);
      const other = one && split(amountMsat - half, parts - Math.floor(parts / 2), maxFeeMsat / 2n);
      return other && [...one, ...other];
    };
    const routes = split(request.amountMsat, request.maxParts, request.maxFeeMsat);
    if (routes !== undefined) return { type: 'found', routes };
    const dear = this.#cheapest(request, { known, taken: new Map(), held: new Map() });
    return dear === undefined
      ? { type: 'none', reason: 'no_path' }
      : { type: 'none', reason: 'fee_limit', feeMsat: dear.feeMsat };
  }

  #cheapest(
    request: RouteRequest,
    given: {
      known: 'announced' | 'truth';
      taken: ReadonlyMap<bigint, bigint>;
      held: ReadonlyMap<DirectedChannel, bigint>;
    },
  ): Route | undefined {
    let best: Route | undefined;
    const destination = this.#numberOf(request.destination);
    const visit = (node: number, hops: readonly RouteHop[]): void => {
      if (hops.length >= request.maxHops) return;
      for (const channel of this.channels) {
        const side = channel.nodes[1] === node ? 0 : channel.nodes[0] === node ? 1 : undefined;
        if (side === undefined) continue;
        const from = channel.nodes[side];
        if (from === destination || hops.some((hop) => bytesToHex(hop.nodeId) === bytesToHex(nodeId(from))))
          continue;
        const hop = this.#hopBefore(request, { channel, side, hops, node, known: given.known });
        if (from === 0) {
          const firstHop = request.firstHops.find(({ shortChannelId }) => shortChannelId === channel.id);
          const left = (firstHop?.spendableMsat ?? -1n) - (given.taken.get(channel.id) ?? 0n);
          if (hop.amountMsat > left || request.excludedNodes.has(bytesToHex(hop.nodeId))) continue;
          const route = routeFrom([hop, ...hops]);
          if (hop.cltvDelta <= request.maxCltvDelta && (best === undefined || route.feeMsat < best.feeMsat))
            best = route;
          continue;
        }
        if (!this.#usable(request, { hop, channel, side, ...given })) continue;
        visit(from, [hop, ...hops]);
      }
    };
    visit(destination, []);
    return best;
  }

  #hopBefore(
    request: RouteRequest,
    {
      channel,
      side,
      hops,
      node,
      known,
    }: {
      channel: FakeChannel;
      side: 0 | 1;
      hops: readonly RouteHop[];
      node: number;
      known: 'announced' | 'truth';
    },
  ): RouteHop {
    const [after] = hops;
    const own = { nodeId: nodeId(node), shortChannelId: channel.id, direction: side };
    if (after === undefined)
      return { ...own, amountMsat: request.amountMsat, cltvDelta: request.finalCltvDelta };
    const following = this.channels.find(({ id }) => id === after.shortChannelId) as FakeChannel;
    const policy = (known === 'truth' ? following.policies : following.announced)[after.direction];
    return {
      ...own,
      amountMsat: after.amountMsat + feeOf(policy, after.amountMsat),
      cltvDelta: after.cltvDelta + policy.delta,
    };
  }

  #usable(
    request: RouteRequest,
    {
      hop,
      channel,
      side,
      known,
      held,
    }: {
      hop: RouteHop;
      channel: FakeChannel;
      side: 0 | 1;
      known: 'announced' | 'truth';
      held: ReadonlyMap<DirectedChannel, bigint>;
    },
  ): boolean {
    const key = directedChannel(hop);
    if (request.excludedChannels.has(key) || request.excludedNodes.has(bytesToHex(hop.nodeId))) return false;
    if (known === 'truth') {
      return channel.balances[side] >= hop.amountMsat && hop.amountMsat >= channel.policies[side].minimum;
    }
    if (hop.amountMsat < channel.announced[side].minimum) return false;
    const bound = this.#bounds.get(key);
    return bound === undefined || (held.get(key) ?? 0n) + hop.amountMsat < bound;
  }

  #numberOf(id: Uint8Array): number {
    const key = bytesToHex(id);
    for (let node = 0; node < this.#options.nodes; node++) if (bytesToHex(nodeId(node)) === key) return node;
    throw new Error('no such node');
  }
}

function isBefore(a: number, b: number): boolean {
  return bytesToHex(nodeId(a)) < bytesToHex(nodeId(b));
}

/** As it was before it rose. */
function cheaper(policy: Policy): Policy {
  return {
    base: Math.floor(policy.base / 2),
    proportional: Math.floor(policy.proportional / 3),
    delta: Math.floor(policy.delta / 2),
    minimum: 1n,
  };
}

function feeOf(policy: Policy, amountMsat: bigint): bigint {
  return BigInt(policy.base) + (amountMsat * BigInt(policy.proportional)) / 1_000_000n;
}

function routeFrom(hops: readonly RouteHop[]): Route {
  const amountMsat = hops.at(-1)?.amountMsat as bigint;
  return { hops, amountMsat, feeMsat: (hops[0]?.amountMsat as bigint) - amountMsat, probability: 0.5 };
}

function updateOf(channel: FakeChannel, direction: 0 | 1, policy: Policy): Uint8Array {
  return updateFor(
    { shortChannelId: channel.id, direction },
    {
      cltvExpiryDelta: policy.delta,
      htlcMinimumMsat: policy.minimum,
      feeBaseMsat: policy.base,
      feeProportionalMillionths: policy.proportional,
    },
  );
}
