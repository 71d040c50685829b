import { bytesToHex } from '@rivulet/core/bytes';
import {
  type Announcer,
  acceptOpening,
  type Channel,
  type Command,
  defaultAcceptPolicy,
  defaultOpeningLimits,
  defaultPeerTolerance,
  fundingCreated,
  type OpeningContext,
  receiveAcceptChannel,
  receiveFundingCreated,
  receiveFundingSigned,
  resume,
  type StepContext,
  startOpening,
} from '@rivulet/core/channel';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import type { GossipMessage } from '@rivulet/core/gossip';
import { deriveChannelSecrets, InMemoryChannelSigner } from '@rivulet/core/keys';
import {
  type ChannelUpdate,
  decodeMessage,
  encodeMessage,
  type Message,
  type NodeAnnouncement,
} from '@rivulet/core/wire';
import { silentLogger } from '../logging/logger.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { Announcing, type NodeProfile } from './announcing.js';
import { isChannelMessage } from './channelMessages.js';
import { ChannelPolicies, defaultChannelPolicy } from './channelPolicies.js';
import { loadChannels } from './channelStore.js';
import { nodeFeatures } from './features.js';
import { TestStorage } from './pair.test.support.js';
import { releaseEffects } from './release.js';
import { channelKey, Turns } from './turns.js';

export const chainHash = new Uint8Array(32).fill(0x0f);
const keyId = new Uint8Array(32).fill(7);
export const fundingHeight = 700_000;
const startMs = 1_700_000_000_000;

export const profile: NodeProfile = {
  alias: 'rivulet',
  rgbColor: Uint8Array.of(0x33, 0x99, 0xff),
  addresses: [{ type: 'ipv4', address: Uint8Array.of(203, 0, 113, 7), port: 9735 }],
  features: nodeFeatures({ anchors: true, gossip: { enabled: true } }),
  acceptsKeysend: true,
};

/** Time for all: a scheduler, and a wall clock that follows it and can be moved. */
export class Clock {
  readonly scheduler = new ManualScheduler();
  wallMs = startMs;

  now(): number {
    return this.wallMs + this.scheduler.now();
  }
}

/** As much of a node as announcing takes: turns, policies, a store. */
export class GossipingNode {
  readonly store: TestStorage;
  readonly turns: Turns;
  readonly policies: ChannelPolicies;
  readonly announcing: Announcing;
  readonly identity: Announcer;
  readonly signer: InMemoryChannelSigner;
  blockHeight = fundingHeight;
  /** What the network and the own graph were given. */
  readonly published: GossipMessage[] = [];
  /** What the peer sent that is for no channel machine. */
  readonly heard: Message[] = [];
  readonly #seed: number;
  /** Absent without a connection. */
  toPeer: ((bytes: Uint8Array) => void) | undefined;

  constructor(
    clock: Clock,
    {
      seed,
      store = new TestStorage(),
      shown = profile,
    }: { seed: number; store?: TestStorage; shown?: NodeProfile },
  ) {
    this.#seed = seed;
    this.store = store;
    const { storage } = store;
    const privateKey = sha256(Uint8Array.of(seed));
    this.signer = new InMemoryChannelSigner(deriveChannelSecrets(new Uint8Array(32).fill(seed), keyId));
    this.identity = {
      nodeId: secp256k1.publicKey(privateKey),
      chainHash,
      minimumDepth: 6,
      signWithNodeKey: (hash) => secp256k1.sign(hash, privateKey),
    };
    this.policies = new ChannelPolicies({ storage, defaults: defaultChannelPolicy, now: () => clock.now() });
    this.turns = new Turns({
      storage,
      logger: silentLogger,
      contextFor: () => this.#context,
      onEvent: (turn, channel, event) => this.announcing.onEvent(turn, channel, event),
      release: (effects) => releaseEffects(effects, { world: this.#world, logger: silentLogger }),
      onCommitted: () => {},
      onBegin: () => {},
      onRolledBack: () => this.policies.reload(),
      onLost: () => {},
    });
    this.announcing = new Announcing({
      turns: this.turns,
      storage,
      policies: this.policies,
      scheduler: clock.scheduler,
      now: () => clock.now(),
      identity: this.identity,
      profile: shown,
      publish: (message) => this.published.push(message),
      logger: silentLogger,
    });
    this.announcing.start();
  }

  readonly #world = {
    send: (_nodeId: string, messages: readonly Message[]) => {
      for (const message of messages) this.toPeer?.(encodeMessage(message));
    },
    disconnect: () => {},
    publish: () => {},
  };

  get #context(): StepContext {
    return {
      blockHeight: this.blockHeight,
      signer: this.signer,
      announcer: this.identity,
      closingScript: Uint8Array.of(0, 20, ...new Uint8Array(20).fill(this.#seed)),
      policy: {
        maxDustExposureMsat: 50_000_000n,
        minFeeratePerKw: 253,
        maxFeeratePerKw: 50_000,
        closingFeeratePerKw: 1_000,
      },
    };
  }

  /** The one that the tests are about. */
  get channel(): Channel {
    const [channel] = this.turns.channels.values();
    if (channel === undefined) throw new Error('there is no channel');
    return channel;
  }

  get key(): string {
    return channelKey(this.channel.params.channelId);
  }

  get nodeId(): string {
    return bytesToHex(this.identity.nodeId);
  }

  openingContext(remote: GossipingNode): OpeningContext {
    return {
      chainHash,
      remoteNodeId: remote.identity.nodeId,
      channelKeyId: keyId,
      signer: this.signer,
      limits: { ...defaultOpeningLimits, htlcMinimumMsat: 2_000n },
      features: {
        largeChannels: true,
        upfrontShutdown: true,
        anySegwit: true,
        simpleClose: true,
        staticRemoteKey: true,
        anchors: true,
        scidAlias: true,
        zeroConf: false,
        dualFund: false,
      },
      localAlias: 0xa11a5n + BigInt(this.#seed),
    };
  }

  command(command: Command): void {
    const { key } = this;
    this.turns.enqueue({ channel: key, run: (turn) => turn.command(key, command) });
    this.turns.runNow();
  }

  receive(bytes: Uint8Array): void {
    const message = decodeMessage(bytes) as Message;
    if (!isChannelMessage(message)) this.heard.push(message);
    else this.command({ type: 'message', message });
  }

  /** Takes over what is stored, as a start does. */
  load(): void {
    const channels = loadChannels(this.store.storage);
    this.turns.load(channels);
    for (const channel of channels) {
      const key = channelKey(channel.params.channelId);
      this.turns.enqueue({
        channel: key,
        run: (turn) => turn.apply(key, resume(channel, this.#context)),
      });
    }
    this.turns.runNow();
  }

  get updates(): ChannelUpdate[] {
    return this.published.filter((message) => message.type === 'channel_update');
  }

  get nodeAnnouncements(): NodeAnnouncement[] {
    return this.published.filter((message) => message.type === 'node_announcement');
  }
}

/** Two of them with a channel. */
export class GossipingPair {
  readonly clock = new Clock();
  readonly alice: GossipingNode;
  readonly bob: GossipingNode;
  #queue: { to: GossipingNode; bytes: Uint8Array }[] = [];

  constructor({ announce, scidAlias = false }: { announce: boolean; scidAlias?: boolean }) {
    this.alice = new GossipingNode(this.clock, { seed: 1 });
    this.bob = new GossipingNode(this.clock, { seed: 2 });
    this.#open({ announce, scidAlias });
    this.connect();
  }

  /** The same, ready for payments, with as many confirmations. */
  static ready(options: { announce: boolean; scidAlias?: boolean; confirmations?: number }): GossipingPair {
    const pair = new GossipingPair(options);
    for (const node of pair.nodes) {
      node.blockHeight = fundingHeight + (options.confirmations ?? 6) - 1;
      node.command({ type: 'fundingConfirmed', height: fundingHeight, index: 3 });
    }
    pair.flush();
    return pair;
  }

  get nodes(): readonly [GossipingNode, GossipingNode] {
    return [this.alice, this.bob];
  }

  #open({ announce, scidAlias }: { announce: boolean; scidAlias: boolean }): void {
    const { alice, bob } = this;
    const started = startOpening({
      ...alice.openingContext(bob),
      temporaryChannelId: new Uint8Array(32).fill(1),
      format: { commitment: 'anchors', scidAlias, zeroConf: false },
      announce,
      fundingSat: 1_000_000n,
      pushMsat: 400_000_000n,
      feeratePerKw: 1_000,
    });
    const accepted = acceptOpening({
      ...bob.openingContext(alice),
      open: started.message,
      policy: defaultAcceptPolicy,
    });
    const agreed = receiveAcceptChannel(started.opening, accepted.message, defaultPeerTolerance);
    const funded = fundingCreated(agreed, { outpoint: { txid: sha256(Uint8Array.of(9)), index: 1 } });
    const theirs = receiveFundingCreated(accepted.opening, funded.message);
    const ours = receiveFundingSigned(funded.opening, theirs.message);
    for (const [node, { channel }] of [
      [alice, ours],
      [bob, theirs],
    ] as const) {
      node.turns.enqueue({ run: (turn) => turn.addChannel({ ...channel, link: 'offline' }) });
      node.turns.runNow();
    }
  }

  flush(): void {
    for (const node of this.nodes) node.turns.runNow();
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      next.to.receive(next.bytes);
      for (const node of this.nodes) node.turns.runNow();
    }
  }

  connect(): void {
    const { alice, bob } = this;
    alice.toPeer = (bytes) => this.#queue.push({ to: bob, bytes });
    bob.toPeer = (bytes) => this.#queue.push({ to: alice, bytes });
    for (const node of this.nodes) node.command({ type: 'connected', simpleClose: true, anySegwit: true });
    this.flush();
  }

  disconnect(): void {
    this.#queue = [];
    for (const node of this.nodes) {
      node.toPeer = undefined;
      node.command({ type: 'disconnected' });
    }
  }

  /** Lets minutes pass; what falls due happens. */
  wait(minutes: number): void {
    for (let minute = 0; minute < minutes; minute++) {
      this.clock.scheduler.advance(60_000);
      this.flush();
    }
  }

  block(): void {
    for (const node of this.nodes) {
      node.blockHeight++;
      node.command({ type: 'block' });
    }
    this.flush();
  }
}
