import { bytesToHex, compareBytes, utf8ToBytes } from '@rivulet/core/bytes';
import type { Channel, ChannelMessage } from '@rivulet/core/channel';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { createRouteFinder, NetworkGraph } from '@rivulet/core/graph';
import type { InMemoryChannelSigner } from '@rivulet/core/keys';
import type { PaymentRequest, Sending } from '@rivulet/core/payment';
import { p2wpkhScript } from '@rivulet/core/tx';
import { decodeMessage, encodeMessage, toShortChannelId } from '@rivulet/core/wire';
import { EventQueue } from './eventQueue.js';
import { createHostility } from './hostility.js';
import { type ChannelKey, channelKey } from './htlcRef.js';
import { Link } from './link.js';
import { openChannel } from './openChannel.js';
import type { ResolvedOptions } from './options.js';
import type { PaymentRecord } from './paymentRecord.js';
import { Random } from './random.js';
import { Router } from './router.js';
import { SimChain } from './simChain.js';
import { type CrashPoint, type Outgoing, SimNode } from './simNode.js';
import { generateTopology, type Topology, type TopologyChannel } from './topology.js';
import { Trace } from './trace.js';

const startMs = 1_750_000_000_000;
const startHeight = 900_000;
/** After so many blocks everything must have come to an end: HTLCs last 2,016 at most. */
const mostBlocks = 5_000;
const walletOutputs = 20;
const walletOutputSat = 50_000n;
const finalCltvDelta = 80;
const maxCltvDelta = 1_440;
const paymentTimeoutMs = 120_000;
const reconnectMs = 2_000;
const restartMs = 3_000;
const lostPaymentRetryMs = 1_000;

/** Networks, nodes and their payments on a virtual clock. */
export class Simulation {
  readonly options: ResolvedOptions;
  readonly topology: Topology;
  readonly nodes: SimNode[] = [];
  readonly links: Link[] = [];
  readonly chain = new SimChain(startHeight);
  readonly records: PaymentRecord[] = [];
  readonly trace: Trace;
  /** What must not be: each is a fault. */
  readonly violations: string[] = [];
  /** Why forwards were refused, and how often. */
  readonly refusals = new Map<string, number>();
  readonly counts = { messages: 0, bytes: 0, htlcs: 0, commitments: 0, disconnects: 0, crashes: 0, turns: 0 };
  readonly #clock = new EventQueue(startMs);
  readonly #graph = new NetworkGraph();
  readonly #byHash = new Map<string, PaymentRecord>();
  readonly #linksOf: Link[][] = [];
  readonly #network: Random;
  readonly #load: Random;
  #left: number;
  #finished = false;

  constructor(options: ResolvedOptions) {
    this.options = options;
    const random = new Random(`rivulet ${options.seed}`);
    this.#network = random.fork('network');
    this.#load = random.fork('load');
    this.#left = options.payments;
    this.trace = new Trace(options.onTrace);
    this.topology =
      options.topology ??
      generateTopology({ nodeCount: options.nodes, channelCount: options.channels }, random.fork('topology'));
    this.#createNodes(random);
    for (const [index, channel] of this.topology.channels.entries())
      this.#createChannel(channel, { index, random });
  }

  get nowMs(): number {
    return this.#clock.nowMs;
  }

  get elapsedMs(): number {
    return this.nowMs - startMs;
  }

  get blocks(): number {
    return this.chain.height - startHeight;
  }

  #createNodes(random: Random): void {
    const { options } = this;
    const { nodeCount } = this.topology;
    const finder = createRouteFinder(this.#graph);
    const hostile = this.#chooseHostile(random.fork('hostile'));
    for (let number = 0; number < nodeCount; number++) {
      const own = random.fork(`node ${number}`);
      const privateKey = own.privateKey();
      const kind = hostile.get(number);
      const walletScript = p2wpkhScript(secp256k1.publicKey(privateKey));
      for (let i = 0; i < walletOutputs; i++) {
        const outpoint = { txid: sha256(utf8ToBytes(`wallet ${number} ${i}`)), index: 0 };
        this.chain.issue(outpoint, { valueSat: walletOutputSat, script: walletScript });
      }
      const node: SimNode = new SimNode({
        number,
        privateKey,
        chain: this.chain,
        router: new Router({ graph: this.#graph, finder, learns: options.learning }),
        random: own,
        hostility: kind === undefined ? undefined : createHostility(kind),
        hostileRate: options.hostileRate,
        maxDustExposureMsat: 50_000_000n,
        nowMs: () => this.nowMs,
        wantsTurn: () => this.#clock.after(options.turnMs, () => this.#runTurn(node)),
        wakeAt: (atMs, run) => this.#clock.at(atMs, run),
        release: (outgoing) => this.#release(node, outgoing),
        onPayment: (sending) => this.#onPayment(sending),
        onRefusal: (cause) => this.refusals.set(cause, (this.refusals.get(cause) ?? 0) + 1),
        onPhase: (channel) => this.#onPhase(channel),
        onDeath: () => this.#onDeath(node),
        onReport: (text) => this.#violate(text),
      });
      this.nodes.push(node);
      this.#linksOf.push([]);
    }
  }

  #chooseHostile(random: Random) {
    const { hostile, hostilities } = this.options;
    const chosen = new Map<number, (typeof hostilities)[number]>();
    while (chosen.size < hostile) {
      const number = random.below(this.topology.nodeCount);
      const kind = hostilities[chosen.size % hostilities.length];
      if (kind !== undefined && !chosen.has(number)) chosen.set(number, kind);
    }
    return chosen;
  }

  #createChannel(
    { a, b, capacitySat, policies, shareOfA }: TopologyChannel,
    { index, random }: { index: number; random: Random },
  ): void {
    const [nodeA, nodeB] = [this.nodes[a], this.nodes[b]] as [SimNode, SimNode];
    const confirmedHeight = startHeight - 100 - random.fork(`age ${index}`).below(100_000);
    const end = (node: SimNode) => ({
      nodeId: node.nodeId,
      seed: random.fork(`seed ${node.number}`).bytes(32),
    });
    const opened = openChannel(
      {
        opener: end(nodeA),
        accepter: end(nodeB),
        index,
        capacitySat,
        share: shareOfA,
        feeratePerKw: this.options.feeratePerKw,
        maxAcceptedHtlcs: this.options.maxAcceptedHtlcs,
        confirmedHeight,
      },
      { chain: this.chain, contextOf: (signer) => this.#openingContext(signer) },
    );
    const shortChannelId = toShortChannelId({ blockHeight: confirmedHeight, txIndex: index, outputIndex: 0 });
    const isFirst = compareBytes(nodeA.nodeId, nodeB.nodeId) < 0;
    const [first, second] = isFirst ? [nodeA, nodeB] : [nodeB, nodeA];
    this.#graph.addChannel({ shortChannelId, nodeId1: first.nodeId, nodeId2: second.nodeId, capacitySat });
    for (const [side, node, peer, policy] of [
      [opened.opener, nodeA, nodeB, policies[0]],
      [opened.accepter, nodeB, nodeA, policies[1]],
    ] as const) {
      const direction = node === first ? 0 : 1;
      const { channel, signer } = side;
      const key = channelKey(channel.params.channelId);
      const startMsat = channel.localMsat;
      node.addChannel(channel, {
        key,
        shortChannelId,
        peer: peer.number,
        policy,
        signer,
        startMsat,
        direction,
      });
      this.#graph.updateChannel({ shortChannelId, direction, timestamp: 1, ...policy });
    }
    this.#linkOf(a, b).keys.push(channelKey(opened.opener.channel.params.channelId));
  }

  #openingContext(signer: InMemoryChannelSigner) {
    return {
      blockHeight: startHeight,
      signer,
      policy: {
        maxDustExposureMsat: 50_000_000n,
        minFeeratePerKw: 253,
        maxFeeratePerKw: 100_000,
        closingFeeratePerKw: 253,
      },
    };
  }

  #linkOf(a: number, b: number): Link {
    const known = this.#linksOf[a]?.find((link) => link.otherEnd(a) === b);
    if (known !== undefined) return known;
    const link = new Link([a, b], Math.max(1, this.#network.logNormal(this.options.medianLatencyMs, 0.7)));
    this.links.push(link);
    this.#linksOf[a]?.push(link);
    this.#linksOf[b]?.push(link);
    return link;
  }

  #violate(text: string): void {
    this.trace.note(`fault: ${text}`);
    this.violations.push(`at ${this.elapsedMs} ms: ${text}`);
  }

  /** Runs until all payments are over and nothing is pending anywhere. */
  run(): void {
    this.begin();
    while (this.advance(1));
  }

  /** Schedules all that comes from outside. */
  begin(): void {
    const { options } = this;
    for (const link of this.links) this.#connect(link);
    this.#clock.after(1_000, () => this.#beginPayment());
    const loadMs = (options.payments / options.paymentsPerSecond) * 1000;
    for (let i = 0; i < options.crashes; i++) {
      const number = this.#network.below(this.nodes.length);
      const point = this.#network.pick<CrashPoint>(['before_commit', 'after_commit', 'idle']);
      this.#clock.after(1_000 + this.#network.next() * loadMs, () => this.#crash(number, point));
    }
    this.#scheduleBlock();
  }

  /** Runs some events. @returns false when all is over. */
  advance(events: number): boolean {
    for (let i = 0; i < events; i++) if (this.#finished || !this.#clock.runNext()) return false;
    return true;
  }

  #scheduleBlock(): void {
    this.#clock.after(this.options.blockIntervalMs, () => {
      if (this.#left === 0 && !this.nodes.some((node) => node.busy)) {
        this.#finished = true;
        return;
      }
      if (this.blocks >= mostBlocks) {
        this.#finished = true;
        for (const node of this.nodes) if (node.busy) this.#violate(`never ends: ${node.describePending()}`);
        return;
      }
      const { height, transactions } = this.chain.mine();
      this.trace.note(`${this.elapsedMs} block ${height} ${transactions.length}`);
      for (const node of this.nodes) node.onBlock();
      this.#scheduleBlock();
    });
  }

  #runTurn(node: SimNode): void {
    this.counts.turns++;
    node.runTurn();
  }

  #beginPayment(): void {
    if (this.#left === 0) return;
    this.#left--;
    this.options.onProgress?.(this.records.length + 1);
    const record = this.#newPayment();
    this.records.push(record);
    this.#byHash.set(bytesToHex(record.request.paymentHash), record);
    this.#pay(record);
    this.#clock.after(this.#load.exponential(1000 / this.options.paymentsPerSecond), () =>
      this.#beginPayment(),
    );
  }

  #pay(record: PaymentRecord): void {
    const sender = this.nodes[record.sender] as SimNode;
    sender.pay(record.request, () => this.#clock.after(lostPaymentRetryMs, () => this.#pay(record)));
  }

  #newPayment(): PaymentRecord {
    const { options } = this;
    const random = this.#load;
    const index = this.records.length;
    const honest = this.nodes.filter(({ honest }) => honest);
    const sender = random.pick(honest.slice(0, options.senders));
    let receiver = random.pick(this.nodes);
    while (receiver === sender) receiver = random.pick(this.nodes);
    const preimage = random.bytes(32);
    const paymentHash = sha256(preimage);
    const paymentSecret = random.bytes(32);
    const amountMsat = BigInt(
      Math.round(random.logUniform(options.leastAmountSat, options.mostAmountSat) * 1000),
    );
    const isKeysend = random.chance(options.keysendShare);
    const percent = BigInt(Math.round(options.maxFeePercent * 1000));
    const request: PaymentRequest = {
      paymentHash,
      destination: receiver.nodeId,
      amountMsat,
      kind: isKeysend ? { type: 'keysend', preimage } : { type: 'invoice', paymentSecret },
      // Half of the keysends may be in parts.
      ...(isKeysend && random.chance(0.5) ? { paymentSecret } : {}),
      customRecords: new Map(),
      finalCltvDelta,
      hints: [],
      maxFeeMsat: (amountMsat * percent) / 100_000n + 5_000n,
      maxCltvDelta,
      maxParts: options.maxParts,
      maxAttempts: options.maxAttempts,
      deadlineMs: this.nowMs + paymentTimeoutMs,
    };
    if (!isKeysend) {
      const invoices = receiver.receiver.invoices;
      invoices.set(bytesToHex(paymentHash), {
        paymentHash,
        paymentSecret,
        amountMsat,
        expiresAtMs: this.nowMs + 24 * 3_600_000,
        minFinalCltvDelta: finalCltvDelta - 10,
        preimage,
        state: 'open',
      });
      // It was made long before.
      invoices.commit();
    }
    this.trace.note(`${this.elapsedMs} payment ${index} ${sender.number}>${receiver.number} ${amountMsat}`);
    return {
      index,
      sender: sender.number,
      receiver: receiver.number,
      request,
      startedAtMs: this.nowMs,
      endings: 0,
    };
  }

  #onPayment(sending: Sending): void {
    const record = this.#byHash.get(bytesToHex(sending.request.paymentHash)) as PaymentRecord;
    const before = record.sending;
    record.sending = sending;
    if ((before?.status ?? 'pending') === 'pending') {
      if (sending.status === 'pending') return;
      record.endings++;
      record.endedAtMs = this.nowMs;
      this.trace.note(
        `${this.elapsedMs} payment ${record.index} ${sending.status} ${sending.attempts.length}`,
      );
    } else if (sending.status !== before?.status) {
      this.#violate(`payment ${record.index} was ${before?.status} and is ${sending.status}`);
    }
  }

  #onPhase({ phase, params }: Channel): void {
    if (phase.name !== 'spent') return;
    for (const node of this.nodes) {
      const facts = node.facts.get(channelKey(params.channelId));
      if (facts !== undefined) this.#graph.removeChannel(facts.shortChannelId);
    }
  }

  #release(node: SimNode, { messages, disconnects }: Outgoing): void {
    for (const [peer, batch] of messages) this.#send(node, this.#linkOf(node.number, peer), batch);
    for (const peer of disconnects) this.#drop(this.#linkOf(node.number, peer));
  }

  #send(from: SimNode, link: Link, messages: readonly ChannelMessage[]): void {
    if (!link.up) return;
    const { options } = this;
    const encoded = messages.map((message) => encodeMessage(message));
    for (const [i, message] of messages.entries()) this.#count(message, encoded[i] as Uint8Array);
    const to = link.otherEnd(from.number);
    const types = messages.map(({ type }) => type).join(' ');
    this.trace.note(`${this.elapsedMs} ${from.number}>${to} ${types} ${fingerprint(encoded)}`);
    if (options.loss > 0 && this.#network.chance(options.loss)) {
      this.#drop(link);
      return;
    }
    const side = link.ends[0] === from.number ? 0 : 1;
    const delayMs = link.latencyMs * this.#network.between(0.9, 1.4);
    const arrivalMs = Math.max(this.nowMs + delayMs, link.lastArrivalMs[side]);
    link.lastArrivalMs[side] = arrivalMs;
    const { generation } = link;
    this.#clock.at(arrivalMs, () => {
      if (link.generation !== generation) return;
      const arrived = encoded.map((bytes) => decodeMessage(bytes) as ChannelMessage);
      this.nodes[to]?.receive(arrived.map((message) => [keyOf(message), message] as const));
    });
  }

  #count(message: ChannelMessage, bytes: Uint8Array): void {
    const { counts } = this;
    counts.messages++;
    counts.bytes += bytes.length;
    if (message.type === 'update_add_htlc') counts.htlcs++;
    if (message.type === 'commitment_signed') counts.commitments++;
  }

  #connect(link: Link): void {
    const [a, b] = link.ends.map((number) => this.nodes[number]) as [SimNode, SimNode];
    if (link.up || !a.alive || !b.alive) return;
    link.up = true;
    link.generation++;
    this.trace.note(`${this.elapsedMs} connect ${link.ends.join(' ')}`);
    for (const node of [a, b]) node.connected(link.keys);
  }

  #drop(link: Link): void {
    if (!link.up) return;
    link.up = false;
    link.generation++;
    this.counts.disconnects++;
    this.trace.note(`${this.elapsedMs} disconnect ${link.ends.join(' ')}`);
    for (const number of link.ends) {
      const node = this.nodes[number] as SimNode;
      if (node.alive) node.disconnected(link.keys);
    }
    this.#clock.after(200 + this.#network.exponential(reconnectMs), () => this.#connect(link));
  }

  #crash(number: number, point: CrashPoint): void {
    this.trace.note(`${this.elapsedMs} crash ${number} ${point}`);
    this.nodes[number]?.crash(point);
  }

  #onDeath(node: SimNode): void {
    this.counts.crashes++;
    for (const link of this.#linksOf[node.number] ?? []) this.#drop(link);
    this.#clock.after(500 + this.#network.exponential(restartMs), () => {
      this.trace.note(`${this.elapsedMs} restart ${node.number}`);
      node.restart();
      for (const link of this.#linksOf[node.number] ?? []) {
        this.#clock.after(this.#network.exponential(reconnectMs), () => this.#connect(link));
      }
    });
  }
}

function keyOf(message: ChannelMessage): ChannelKey {
  return channelKey(message.channelId);
}

/** A number for what was sent (FNV-1a). */
function fingerprint(parts: readonly Uint8Array[]): string {
  let hash = 0x811c9dc5;
  for (const part of parts) for (const byte of part) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16);
}
