import { rmSync } from 'node:fs';
import { bytesToHex, equalBytes, hexToBytes } from '@rivulet/core/bytes';
import { decodeFeatureBits } from '@rivulet/core/wire';
import type { InteropCase } from '../../interopCase.js';
import { type Network, openLine } from '../../network.js';
import type { KnownPolicy } from '../../station.js';
import { expectSame, expectThat } from '../../waitUntil.js';

/** bLIP 3: keysend, optional; told in node_announcement alone. */
const keysendBit = 55;

function showPolicy(policy: Partial<KnownPolicy> | undefined): string {
  if (policy === undefined) return 'none';
  const { feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta, htlcMinimumMsat, htlcMaximumMsat } =
    policy;
  return [feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta, htlcMinimumMsat, htlcMaximumMsat].join(
    ' ',
  );
}

/** What a node heard of how another forwards into a channel. */
async function heard(
  network: Network,
  { by, of, shortChannelId }: { by: string; of: string; shortChannelId: bigint },
): Promise<KnownPolicy | undefined> {
  const channels = await network.station(by).known();
  const channel = channels.find((known) => known.shortChannelId === shortChannelId);
  return channel?.policies.get(network.station(of).nodeId);
}

async function shortChannelIdOf(network: Network, from: string, to: string): Promise<bigint> {
  const [channel] = await network.between(from, to);
  expectThat(channel?.shortChannelId !== undefined, 'the channel has a short channel id');
  return channel!.shortChannelId!;
}

const ldkLearns: InteropCase = {
  name: "LDK's graph has our channels, what both ends ask for, and our node_announcement, from us alone",
  async run(rig) {
    const network = await openLine(rig, 'LDK-us-LDK', {
      bob: { rivulet: { alias: 'bächlein' } },
      carol: {
        ldk: { forwarding: { feeBaseMsat: 777, feeProportionalMillionths: 55, cltvExpiryDelta: 66 } },
      },
    });
    const { ldk: alice } = network.ldk('alice');
    const bob = network.us('bob');
    const shortChannelId = await shortChannelIdOf(network, 'bob', 'carol');
    const graph = await rig.until('alice has the node_announcement of bob', async () => {
      const found = await alice.graph();
      return (
        found.nodes.some(({ nodeId, announcement }) => announcement && equalBytes(nodeId, bob.pubkey)) &&
        found
      );
    });
    const channel = graph.channels.find((each) => each.shortChannelId === shortChannelId);
    expectSame(channel?.capacitySat, 1_000_000n, 'the capacity that alice found on her chain');
    const ofBob = await heard(network, { by: 'alice', of: 'bob', shortChannelId });
    expectThat(ofBob?.enabled === true, 'the channel enabled');
    expectSame(showPolicy(ofBob), '1000 100 80 1000 900000000', 'our own terms');
    const ofCarol = await heard(network, { by: 'alice', of: 'carol', shortChannelId });
    const { feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta } = ofCarol!;
    expectSame(
      [feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta].join(' '),
      '777 55 66',
      "carol's terms",
    );
    const node = graph.nodes.find(({ nodeId }) => equalBytes(nodeId, bob.pubkey))?.announcement;
    expectSame(node?.alias, 'bächlein', 'our alias');
    expectSame(bytesToHex(node?.rgb ?? new Uint8Array()), '3399ff', 'our colour');
    expectThat(node?.features.includes(keysendBit) === true, `keysend told in ${node?.features.join(' ')}`);
    expectThat(node?.features.includes(17) === true, 'parts told');
  },
};

const weLearn: InteropCase = {
  name: "we have LDK's channels, what both ends ask for, and its node_announcement, from LDK alone",
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-LDK', {
      bob: { ldk: { forwarding: { feeBaseMsat: 333, feeProportionalMillionths: 44, cltvExpiryDelta: 55 } } },
    });
    const { api } = network.us('alice').rivulet;
    const { nodeId: carol } = network.station('carol');
    // Bob passes on what has a channel that he knows: carol tells of herself last.
    await network.ldk('carol').ldk.announceNode({ alias: 'carol of the end', withAddress: true });
    const node = await rig.until('alice has the node_announcement of carol', async () => {
      const found = await api.networkNode({ nodeId: carol });
      return found.alias !== undefined && found;
    });
    expectSame(node.alias, 'carol of the end', 'her alias');
    expectSame(node.addresses.join(), `127.0.0.1:${network.station('carol').port}`, 'her address');
    expectThat(decodeFeatureBits(hexToBytes(node.features)).includes(17), 'that she takes parts');
    const [channel] = node.channels;
    expectSame(channel?.capacitySat, 1_000_000n, 'the capacity that we found on our chain');
    const shortChannelId = await shortChannelIdOf(network, 'bob', 'carol');
    const { feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta } = (await heard(network, {
      by: 'alice',
      of: 'bob',
      shortChannelId,
    }))!;
    expectSame(
      [feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta].join(' '),
      '333 44 55',
      "bob's terms",
    );
    const { nodes, channels } = await api.network({});
    expectSame(`${nodes} nodes, ${channels} channels`, '3 nodes, 2 channels', 'all that there is');
  },
};

const amountMsat = 10_000_000n;

const ourPolicy: InteropCase = {
  name: 'we ask for more: LDK hears of it and pays it; then for less',
  async run(rig) {
    const network = await openLine(rig, 'LDK-us-LDK');
    const [alice, carol] = [network.station('alice'), network.station('carol')];
    const shortChannelId = await shortChannelIdOf(network, 'bob', 'carol');
    const [channel] = await network.between('bob', 'carol');
    for (const feeBaseMsat of [5_000, 3]) {
      await network.us('bob').rivulet.api.setPolicy({ channelId: channel!.channelId, feeBaseMsat });
      await rig.until('alice hears of it', async () => {
        return (
          (await heard(network, { by: 'alice', of: 'bob', shortChannelId }))?.feeBaseMsat === feeBaseMsat
        );
      });
      const before = await network.funds();
      const { feeMsat } = await alice.keysend(carol, { amountMsat });
      expectSame(feeMsat, BigInt(feeBaseMsat) + 1_000n, 'the fee that LDK pays');
      await network.expectMoved(before, { alice: -amountMsat - feeMsat, bob: feeMsat, carol: amountMsat });
    }
  },
};

const theirPolicy: InteropCase = {
  name: 'LDK asks for more: we hear of it and pay it; then for less',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-us');
    const [alice, carol] = [network.station('alice'), network.station('carol')];
    const shortChannelId = await shortChannelIdOf(network, 'bob', 'carol');
    const [channel] = await network.between('bob', 'carol');
    const ref = { channelId: hexToBytes(channel!.channelId), pubkey: carol.pubkey };
    for (const [feeBaseMsat, feeProportionalMillionths] of [
      [6_000, 200],
      [1, 0],
    ] as const) {
      await network.ldk('bob').ldk.setForwardingPolicy(ref, { feeBaseMsat, feeProportionalMillionths });
      await rig.until('alice hears of it', async () => {
        return (
          (await heard(network, { by: 'alice', of: 'bob', shortChannelId }))?.feeBaseMsat === feeBaseMsat
        );
      });
      const before = await network.funds();
      const { feeMsat } = await alice.keysend(carol, { amountMsat });
      const wanted = BigInt(feeBaseMsat) + (amountMsat * BigInt(feeProportionalMillionths)) / 1_000_000n;
      expectSame(feeMsat, wanted, 'the fee that we pay');
      await network.expectMoved(before, { alice: -amountMsat - feeMsat, bob: feeMsat, carol: amountMsat });
    }
  },
};

const ourClose: InteropCase = {
  name: 'we close an announced channel: LDK hears that nothing goes through it any more',
  async run(rig) {
    const network = await openLine(rig, 'LDK-us-LDK');
    const shortChannelId = await shortChannelIdOf(network, 'bob', 'carol');
    const [channel] = await network.between('bob', 'carol');
    await network.us('bob').rivulet.api.closeChannel({ channelId: channel!.channelId });
    await rig.until('alice hears that it is disabled', async () => {
      return (await heard(network, { by: 'alice', of: 'bob', shortChannelId }))?.enabled === false;
    });
    const failure = await network
      .station('alice')
      .keysend(network.station('carol'), { amountMsat })
      .then(
        () => 'success',
        (error: Error) => error.message,
      );
    expectThat(failure.includes('RouteNotFound'), `no route, not "${failure}"`);
  },
};

/** BOLT 7: a channel is forgotten so many blocks after its funding output was spent. */
const forgetAfterBlocks = 72;

const theirClose: InteropCase = {
  name: 'two LDK nodes close an announced channel: we pay nothing through it, and forget it 72 blocks later',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-LDK');
    const { api } = network.us('alice').rivulet;
    const carol = network.station('carol');
    const [channel] = await network.between('bob', 'carol');
    const ref = { channelId: hexToBytes(channel!.channelId), pubkey: carol.pubkey };
    await network.ldk('bob').ldk.closeChannel(ref);
    await rig.until('the closing transaction', () => [...rig.chain.regtest.mempool.entries()].length > 0);
    const known = async () => (await api.network({})).channels;
    await rig.mine(1);
    const failure = await network
      .station('alice')
      .keysend(carol, { amountMsat })
      .then(
        () => 'success',
        (error: Error) => error.message,
      );
    expectThat(/route|no channel is known/.test(failure), `a sentence, not "${failure}"`);
    await rig.mine(forgetAfterBlocks - 2);
    expectSame(await known(), 2, 'channels known as long as it may be a splice');
    await rig.mine(2);
    await rig.until('it is forgotten', async () => (await known()) === 1);
  },
};

const restarted = (kept: boolean): InteropCase => ({
  name: `we are restarted ${kept ? 'with' : 'without'} what was stored of gossip: a new peer learns our channels and us from us`,
  async run(rig) {
    const network = await openLine(rig, 'LDK-us-LDK', { bob: { apart: true } });
    const { rivulet } = network.us('bob');
    await rivulet.stop();
    if (!kept) for (const end of ['', '-wal', '-shm']) rmSync(`${rivulet.gossipPath}${end}`, { force: true });
    await rivulet.start();
    await network.start('dave', { kind: 'LDK' });
    await network.connect('dave', 'bob');
    const { ldk: dave } = network.ldk('dave');
    await rig.until('dave knows both channels and bob', async () => {
      const { channels, nodes } = await dave.graph();
      const bob = nodes.find(({ nodeId }) => equalBytes(nodeId, rivulet.pubkey));
      return channels.length === 2 && bob?.announcement?.alias === 'bob';
    });
  },
});

export const networkGossipCases: readonly InteropCase[] = [
  ldkLearns,
  weLearn,
  ourPolicy,
  theirPolicy,
  ourClose,
  theirClose,
  restarted(true),
  restarted(false),
].map((each) => ({ ...each, channelTypes: ['anchors'] }));
