import { createHash } from 'node:crypto';
import { networks } from '@rivulet/chain';
import { secp256k1 } from '@rivulet/core/crypto';
import { createFeatures, encodeChannelType, type Message, type OpenChannel } from '@rivulet/core/wire';
import { afterEach, expect, test, vi } from 'vitest';
import { isGossip } from '../gossip/index.js';
import { PeerManager } from '../peers/index.js';
import { Pair, until } from './pair.test.support.js';
import { Signers } from './signers.js';

let pair: Pair | undefined;
let strangers: PeerManager[] = [];
afterEach(async () => {
  await Promise.all(strangers.map((stranger) => stranger.close()));
  strangers = [];
  await pair?.stop();
  pair = undefined;
});

const point = (seed: number) => secp256k1.publicKey(new Uint8Array(32).fill(seed));
const bytes = (text: string) => new Uint8Array(createHash('sha256').update(text).digest());

/** A peer without a channel machine: it says what a test wants it to. */
class Stranger {
  readonly peers: PeerManager;
  readonly heard: Message[] = [];
  readonly #to: string;

  constructor(seed: number, to: string) {
    this.#to = to;
    this.peers = new PeerManager({
      nodePrivateKey: new Uint8Array(32).fill(seed),
      chainHash: networks.regtest.chainHash,
      features: createFeatures({
        compulsory: ['dataLossProtect', 'varOnionOptin', 'staticRemotekey', 'paymentSecret', 'channelType'],
        optional: ['anchors'],
      }),
    });
    strangers.push(this.peers);
    this.peers.on('messages', ({ messages }) =>
      this.heard.push(...messages.filter((message) => !isGossip(message))),
    );
  }

  send(...messages: Message[]): void {
    this.peers.send(this.#to, messages);
  }

  of<T extends Message['type']>(type: T): Extract<Message, { type: T }>[] {
    return this.heard.filter((message) => message.type === type) as Extract<Message, { type: T }>[];
  }
}

async function stranger(to: Pair['alice'], seed = 77): Promise<Stranger> {
  const one = new Stranger(seed, to.node.nodeId);
  const [address] = to.node.listening;
  await one.peers.connect({ nodeId: to.node.nodeId, ...address! });
  return one;
}

function openChannel(id: Uint8Array, changes: Partial<OpenChannel> = {}): OpenChannel {
  return {
    type: 'open_channel',
    chainHash: networks.regtest.chainHash,
    temporaryChannelId: id,
    fundingSat: 1_000_000n,
    pushMsat: 0n,
    feeratePerKw: 1_000,
    dustLimitSat: 354n,
    maxHtlcValueInFlightMsat: 1_000_000_000n,
    channelReserveSat: 10_000n,
    htlcMinimumMsat: 1n,
    toSelfDelay: 144,
    maxAcceptedHtlcs: 483,
    fundingPubkey: point(1),
    revocationBasepoint: point(2),
    paymentBasepoint: point(3),
    delayedPaymentBasepoint: point(4),
    htlcBasepoint: point(5),
    firstPerCommitmentPoint: point(6),
    channelFlags: 0,
    channelType: encodeChannelType({ base: 'anchors', scidAlias: false, zeroconf: false }),
    ...changes,
  };
}

test('threat 11: a flood of open_channel is refused past two, whoever and whatever it holds', async () => {
  pair = await Pair.start();
  const peer = await stranger(pair.bob);
  peer.send(...Array.from({ length: 50 }, (_, i) => openChannel(bytes(`flood ${i}`))));
  await until(() => peer.heard.length === 50, 'all are answered');
  expect(peer.of('accept_channel')).toHaveLength(2);
  expect(peer.of('error')).toHaveLength(48);
});

test('threat 11: refused open_channels leave no keys behind', async () => {
  pair = await Pair.start();
  const kept = vi.spyOn(Signers.prototype, 'of');
  const peer = await stranger(pair.bob);
  peer.send(...Array.from({ length: 50 }, (_, i) => openChannel(bytes(`poor ${i}`), { fundingSat: 1n })));
  await until(() => peer.of('error').length === 50, 'all are refused');
  expect(kept).not.toHaveBeenCalled();
  kept.mockRestore();
});

test('threat 11: nothing is left of openings whose peer is gone, even in the same turn', async () => {
  pair = await Pair.start();
  const peer = await stranger(pair.bob);
  peer.send(openChannel(bytes('one')), openChannel(bytes('two')));
  await peer.peers.close();
  await until(() => pair!.bob.node.peers.peers.length === 0, 'the peer is gone');
  pair.bob.node.turns.runNow();
  const again = await stranger(pair.bob);
  again.send(openChannel(bytes('three')), openChannel(bytes('four')));
  await until(() => again.heard.length === 2, 'both are answered');
  expect(again.of('accept_channel')).toHaveLength(2);
});

test('an open_channel with the temporary id of our own opening does not replace it', async () => {
  pair = await Pair.start();
  const { alice } = pair;
  const peer = await stranger(alice);
  const info = alice.node.peers.getPeer(peer.peers.nodeId)!;
  const opened = alice.node.openChannel({ peer: info, capacitySat: 500_000n, pushMsat: 0n });
  opened.catch(() => {});
  await until(() => peer.of('open_channel').length === 1, 'open_channel is there');
  const [open] = peer.of('open_channel');
  peer.send(openChannel(open!.temporaryChannelId));
  await until(() => peer.of('error').length === 1, 'it is refused');
  // The opening lives: its refusal by the peer is still told to who asked for it.
  peer.send({ type: 'error', channelId: open!.temporaryChannelId, data: bytes('no') });
  await expect(opened).rejects.toMatchObject({ code: 'rejected_by_peer' });
});

/** Has a stranger answer our open_channel and leaves us waiting for its funding_signed. */
async function awaitingFundingSigned(): Promise<{ peer: Stranger; opened: Promise<unknown> }> {
  const { alice } = pair!;
  const peer = await stranger(alice);
  const info = alice.node.peers.getPeer(peer.peers.nodeId)!;
  const opened = alice.node.openChannel({ peer: info, capacitySat: 500_000n, pushMsat: 0n });
  opened.catch(() => {});
  await until(() => peer.of('open_channel').length === 1, 'open_channel is there');
  const { temporaryChannelId, channelType } = peer.of('open_channel')[0]!;
  const {
    type: _,
    chainHash,
    fundingSat,
    pushMsat,
    feeratePerKw,
    channelFlags,
    ...terms
  } = openChannel(temporaryChannelId, { channelType: channelType!, channelReserveSat: 5_000n });
  peer.send({ type: 'accept_channel', minimumDepth: 3, ...terms });
  await until(() => peer.of('funding_created').length === 1, 'funding_created is there');
  return { peer, opened };
}

test('coins of an opening that a crash cut off are free after the start', async () => {
  pair = await Pair.start();
  await awaitingFundingSigned();
  const { store } = pair.alice;
  expect(pair.alice.node.wallet.balance().reservedSat).toBeGreaterThan(0n);
  const before = store.memory.listValues('wallet/reserved/');
  await pair.alice.node.stop();
  // What the shutdown itself tidied up is put back: a crash does not tidy up.
  store.memory.transaction((tx) => {
    for (const { key, value } of before) tx.putValue(key, value);
  });
  await pair.restart('alice');
  expect(pair.alice.node.wallet.balance().reservedSat).toBe(0n);
});

test('an opening outlives a rolled back turn, and its coins come back when it ends', async () => {
  pair = await Pair.start();
  const { peer, opened } = await awaitingFundingSigned();
  const { node } = pair.alice;
  const failed = new Promise((resolve) =>
    node.turns.enqueue({
      run: () => {
        throw new TypeError('a fault (a test)');
      },
      failed: resolve,
    }),
  );
  const [created] = peer.of('funding_created');
  const channelId = Uint8Array.from(created!.fundingTxid);
  channelId[31]! ^= created!.fundingOutputIndex;
  peer.send({ type: 'funding_signed', channelId, signature: new Uint8Array(64).fill(1) });
  await failed;
  await expect(opened).rejects.toMatchObject({ code: 'signature_invalid' });
  expect(node.wallet.balance().reservedSat).toBe(0n);
  expect(node.channels).toHaveLength(0);
});

test('threat 10: channels that their peer failed and never funded count until they are forgotten', async () => {
  pair = await Pair.start();
  const { alice, bob } = pair;
  for (let i = 0; i < 4; i++) {
    const { params } = await openUnfunded();
    alice.node.peers.send(bob.node.nodeId, [
      { type: 'error', channelId: params.channelId, data: new Uint8Array(0) },
    ]);
    await until(() => bob.node.channels[i]?.phase.name === 'failed', 'the channel has failed');
  }
  await expect(openUnfunded()).rejects.toThrow(/too many channels wait/);
  await pair.mine(2016);
  expect(bob.node.channels).toHaveLength(0);
  expect(bob.node.storage.loadChannels()).toHaveLength(0);
  expect(bob.node.storage.listValues('channel-')).toHaveLength(0);
  await openUnfunded();
});

/** A channel of Alice whose funding transaction never reaches the chain. */
async function openUnfunded() {
  const { alice, bob } = pair!;
  const broadcast = alice.backend.broadcast;
  alice.backend.broadcast = async () => ({ accepted: false, code: 'insufficient_fee', message: 'a test' });
  try {
    const peer = await pair!.connect();
    const channel = await alice.node.openChannel({ peer, capacitySat: 20_000n, pushMsat: 0n });
    await until(
      () => bob.node.turns.channels.size > 0 && bob.node.peers.peers.length > 0,
      'the other side has it',
    );
    return channel;
  } finally {
    alice.backend.broadcast = broadcast;
  }
}

test('threat 12: a channel that is signed in the turn of a reconnection is reestablished', async () => {
  pair = await Pair.start();
  const { alice, bob } = pair;
  const peer = await pair.connect();
  // All that Bob's side hears in one turn: funding_created, the end of the connection, and the next one.
  const turns = bob.node.turns as unknown as { runNow: () => void };
  const runNow = bob.node.turns.runNow.bind(bob.node.turns);
  let held = false;
  bob.node.peers.prependListener('messages', ({ messages }) => {
    if (messages.some(({ type }) => type === 'funding_created')) {
      held = true;
      turns.runNow = () => {};
    }
  });
  alice.node.openChannel({ peer, capacitySat: 500_000n, pushMsat: 0n }).catch(() => {});
  await until(() => held, 'funding_created is there');
  alice.node.peers.drop(bob.node.nodeId, 'a test');
  await until(() => alice.node.peers.peers.length === 0 && bob.node.peers.peers.length === 0, 'it is over');
  await pair.connect();
  await until(() => bob.node.peers.peers.length === 1, 'they are connected again');
  turns.runNow = runNow;
  bob.node.turns.runNow();
  const [channel] = bob.node.channels;
  expect(channel).toMatchObject({ link: 'syncing', phase: { name: 'awaiting_ready' } });
});
