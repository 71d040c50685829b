import { equalBytes } from '@rivulet/core/bytes';
import type { InteropChain } from '../interopChain.js';
import type { LdkPeer } from '../ldkPeer.js';
import type { LdkChannel, LdkNodeOptions, LdkOpenedChannel } from '../ldkTypes.js';

export type StartLdk = (options?: Partial<LdkNodeOptions>) => Promise<LdkPeer>;

export interface ScenarioContext {
  chain: InteropChain;
  /** Starts an LDK node, which is stopped after the scenario. */
  startLdk: StartLdk;
  channelType: 'anchors' | 'static_remotekey';
}

export interface Scenario {
  name: string;
  run(context: ScenarioContext): Promise<void>;
}

export interface ChannelPair {
  alice: LdkPeer;
  bob: LdkPeer;
  channel: LdkOpenedChannel;
}

/** The node's view of a channel, while it exists. */
export async function findChannel(peer: LdkPeer, channelId: Uint8Array): Promise<LdkChannel | undefined> {
  return (await peer.channels()).find((channel) => equalBytes(channel.channelId, channelId));
}

export async function waitUsable(channelId: Uint8Array, ...peers: readonly LdkPeer[]): Promise<void> {
  for (const peer of peers) {
    await peer.log.waitFor(async () => (await findChannel(peer, channelId))?.isUsable, {
      what: 'channel usable',
    });
  }
}

/** Connects again, once both have noticed that the old connection is gone. */
export async function reconnect(from: LdkPeer, to: LdkPeer): Promise<void> {
  for (const peer of [from, to]) {
    await peer.log.waitFor(async () => (await peer.peers()).length === 0, { what: 'disconnected' });
  }
  await from.connect(to);
}

/** Mines, and waits until the nodes know. */
export async function mineAndSync(
  chain: InteropChain,
  blocks: number,
  ...peers: readonly LdkPeer[]
): Promise<void> {
  chain.mine(blocks);
  await Promise.all(peers.map((peer) => peer.sync()));
}

/** Two LDK nodes and a usable channel of 1,000,000 sat, of which the second node has 300,000. */
export async function openPair(
  { chain, startLdk, channelType }: ScenarioContext,
  bobOptions: Partial<LdkNodeOptions> = {},
): Promise<ChannelPair> {
  const alice = await startLdk({ channelType });
  const bob = await startLdk({ channelType, ...bobOptions });
  for (const { walletScript } of [alice, bob])
    for (let i = 0; i < 5; i++) chain.pay(walletScript, 1_000_000n);
  await mineAndSync(chain, 1, alice, bob);
  await alice.connect(bob);
  const channel = await alice.openChannel({
    pubkey: bob.pubkey,
    capacitySat: 1_000_000n,
    pushMsat: 300_000_000n,
  });
  // The pending event tells of the signed transaction; the chain has it a moment later.
  await alice.log.waitForEvent('broadcast', ({ txids }) =>
    txids.some((id) => equalBytes(id, channel.fundingTxid)),
  );
  await mineAndSync(chain, 1, alice, bob);
  await waitUsable(channel.channelId, alice, bob);
  return { alice, bob, channel };
}

/** @throws when the condition does not hold. */
export function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`expected: ${what}`);
}
