import { hexToBytes } from '@rivulet/core/bytes';
import type { InteropCase } from '../../interopCase.js';
import { Network, openLine } from '../../network.js';
import type { StationKind } from '../../station.js';
import { expectSame, expectThat } from '../../waitUntil.js';
import { disconnections, ourFailure } from './failing.js';

const amountMsat = 100_000_000n;

/** alice and carol, with two nodes side by side between them; what bob has towards carol can be chosen. */
function openDiamond(
  rig: Network['rig'],
  { ends, middles, bobSat }: { ends: StationKind; middles: StationKind; bobSat: bigint },
): Promise<Network> {
  return Network.open(rig, {
    nodes: {
      alice: { kind: ends },
      bob: { kind: middles },
      carol: { kind: ends },
      dave: { kind: middles },
    },
    links: [
      { from: 'alice', to: 'bob' },
      { from: 'alice', to: 'dave' },
      { from: 'bob', to: 'carol', pushSat: 1_000_000n - bobSat },
      { from: 'dave', to: 'carol', pushSat: 200_000n },
    ],
  });
}

const otherWay: InteropCase = {
  name: 'we send: one way has no balance, so the payment takes the other; the next one goes there at once',
  async run(rig) {
    const network = await openDiamond(rig, { ends: 'us', middles: 'LDK', bobSat: 30_000n });
    // It is the cheaper way, and so the first.
    const [channel] = await network.between('bob', 'carol');
    const { ldk: bob } = network.ldk('bob');
    const ref = { channelId: hexToBytes(channel!.channelId), pubkey: network.station('carol').pubkey };
    await bob.setForwardingPolicy(ref, { feeBaseMsat: 0, feeProportionalMillionths: 0 });
    await rig.until('alice hears of it', async () =>
      (await network.station('alice').known()).some(
        ({ policies }) => policies.get(network.station('bob').nodeId)?.feeBaseMsat === 0,
      ),
    );
    const [alice, carol] = [network.station('alice'), network.station('carol')];
    const tried = () => bob.log.eventsOf('htlcHandlingFailed').length;
    for (let i = 0; i < 2; i++) {
      const before = await network.funds();
      const { feeMsat } = await alice.keysend(carol, { amountMsat });
      await network.expectMoved(before, { alice: -amountMsat - feeMsat, dave: feeMsat, carol: amountMsat });
      expectSame(tried(), 1, 'payments that bob could not pass on');
    }
  },
};

const ldkOtherWay: InteropCase = {
  name: 'LDK sends: one of us has no balance, so the payment takes the other',
  async run(rig) {
    const network = await openDiamond(rig, { ends: 'LDK', middles: 'us', bobSat: 30_000n });
    const [channel] = await network.between('bob', 'carol');
    const free = { feeBaseMsat: 0, feeProportionalMillionths: 0 };
    await network.us('bob').rivulet.api.setPolicy({ channelId: channel!.channelId, ...free });
    await rig.until('alice hears of it', async () =>
      (await network.station('alice').known()).some(
        ({ policies }) => policies.get(network.station('bob').nodeId)?.feeBaseMsat === 0,
      ),
    );
    const { ldk: alice } = network.ldk('alice');
    const before = await network.funds();
    const pubkey = network.station('carol').pubkey;
    const { feeMsat } = await alice.sendKeysend({ pubkey, amountMsat, retries: 5 });
    await network.expectMoved(before, { alice: -amountMsat - feeMsat, dave: feeMsat, carol: amountMsat });
    const failed = alice.log.eventsOf('paymentPathFailed');
    expectSame(failed[0]?.shortChannelId, channel!.shortChannelId, 'the channel that alice blames first');
  },
};

const bothWays = (ends: StationKind, middles: StationKind): InteropCase => ({
  name: `${ends} sends to ${ends} over two nodes of ${middles} side by side: more than either way carries, in parts over both`,
  async run(rig) {
    const network = await openDiamond(rig, { ends, middles, bobSat: 800_000n });
    const [alice, carol] = [network.station('alice'), network.station('carol')];
    const before = await network.funds();
    const wideMsat = 800_000_000n;
    const invoice = await carol.createInvoice({ amountMsat: wideMsat, description: 'over both' });
    const { feeMsat, paymentHash } = await alice.pay(invoice);
    expectSame((await network.received('carol', paymentHash)).amountMsat, wideMsat, 'what carol received');
    await network.untilQuiet();
    const [bob, dave] = [await network.station('bob').forwarded(), await network.station('dave').forwarded()];
    expectThat(bob.count > 0 && dave.count > 0, 'parts over both');
    expectSame(bob.feeMsat + dave.feeMsat, feeMsat, 'what both earned');
    await network.expectMoved(before, {
      alice: -wideMsat - feeMsat,
      bob: bob.feeMsat,
      dave: dave.feeMsat,
      carol: wideMsat,
    });
  },
});

const otherChannel: InteropCase = {
  name: 'LDK names a channel of ours that has no balance: we pass the payment on over another one of that peer',
  async run(rig) {
    const network = await Network.open(rig, {
      nodes: { alice: { kind: 'LDK' }, bob: { kind: 'us' }, carol: { kind: 'LDK' } },
      links: [
        { from: 'alice', to: 'bob' },
        { from: 'bob', to: 'carol', pushSat: 970_000n },
        { from: 'bob', to: 'carol', pushSat: 100_000n },
      ],
    });
    const dry = (await network.between('bob', 'carol')).find(({ localMsat }) => localMsat < 100_000_000n)!;
    // Nobody would take the other one, at this fee.
    const free = { feeBaseMsat: 0, feeProportionalMillionths: 0 };
    await network.us('bob').rivulet.api.setPolicy({ channelId: dry.channelId, ...free });
    await rig.until('alice hears of it', async () =>
      (await network.station('alice').known()).some(
        ({ policies }) => policies.get(network.station('bob').nodeId)?.feeBaseMsat === 0,
      ),
    );
    const before = await network.funds();
    const { ldk: alice } = network.ldk('alice');
    const sent = await alice.sendKeysend({ pubkey: network.station('carol').pubkey, amountMsat });
    expectSame(sent.feeMsat, 0n, 'the fee of the channel that was named');
    await network.expectMoved(before, { alice: -amountMsat, carol: amountMsat });
    const now = (await network.between('bob', 'carol')).find(({ channelId }) => channelId === dry.channelId);
    expectSame(now?.localMsat, dry.localMsat, 'what the channel that was named has');
  },
};

const fiveNodes: InteropCase = {
  name: 'us-LDK-us-LDK-us: a keysend with records over four hops, and each failure on the way is read',
  async run(rig) {
    const names = ['alice', 'bob', 'carol', 'dave', 'erin'] as const;
    const network = await Network.open(rig, {
      nodes: Object.fromEntries(names.map((name, i) => [name, { kind: i % 2 === 0 ? 'us' : 'LDK' }])),
      links: names.slice(1).map((to, i) => ({ from: names[i]!, to })),
    });
    const [alice, , , , erin] = network.stations;
    const records = new Map([[7_629_169n, new Uint8Array(500).fill(9)]]);
    const before = await network.funds();
    const paid = await alice!.keysend(erin!, { amountMsat, records });
    const received = await network.received('erin', paid.paymentHash);
    expectSame(received.records.get(7_629_169n)?.length, 500, 'bytes of the record');
    await network.untilQuiet();
    const after = await network.funds();
    const gained = (name: string) => after.get(name)! - before.get(name)!;
    expectSame(gained('alice'), -amountMsat - paid.feeMsat, 'what alice paid');
    expectSame(gained('erin'), amountMsat, 'what erin got');
    expectSame(gained('bob') + gained('carol') + gained('dave'), paid.feeMsat, 'what those between earned');

    await network.us('erin').rivulet.setReceivePolicy({ acceptKeysend: false, minAmountMsat: 1n });
    const keysend = () => ourFailure(network, alice!.keysend(erin!, { amountMsat }));
    const ended = disconnections(network);
    const refused = 'refused_by_destination, incorrect_or_unknown_payment_details, at erin';
    expectSame(await keysend(), refused, 'at the end');
    expectSame(disconnections(network), ended, 'connections that ended');
    await network.part('dave', 'erin');
    const daveErin = 'no_route, temporary_channel_failure, at dave, dave-erin';
    expectSame(await keysend(), daveErin, 'at the last but one, which is LDK');
    await network.part('carol', 'dave');
    const carolDave = 'no_route, temporary_channel_failure, at carol, carol-dave';
    expectSame(await keysend(), carolDave, 'in the middle, which is us');
    await network.part('bob', 'carol');
    const bobCarol = 'no_route, temporary_channel_failure, at bob, bob-carol';
    expectSame(await keysend(), bobCarol, 'at the first, which is LDK');
  },
};

const probes: InteropCase = {
  name: 'probes: ours to LDK over LDK, and those of LDK to us over LDK, arrive and leave nothing',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-LDK');
    const { api } = network.us('alice').rivulet;
    const { ldk: carol } = network.ldk('carol');
    const before = await network.funds();
    const nodeId = network.station('carol').nodeId;
    const probed = await api.route({ nodeId, amountMsat, probe: true });
    expectThat(probed.probe?.reached === true, `it arrives: ${probed.probe?.message}`);
    expectSame(probed.routes[0]?.hops.length, 2, 'hops');
    const tooMuch = await api.route({ nodeId, amountMsat: 480_000_000n, probe: true });
    expectThat(tooMuch.probe?.reached === true, 'so does one that is nearly all');
    await carol.sendProbes({ pubkey: network.station('alice').pubkey, amountMsat });
    const probe = await carol.log.waitForEvent('probeSuccessful', () => true);
    expectSame(probe.path.length, 2, 'hops of the probe of carol');
    await network.expectMoved(before, {});
    expectSame((await api.payments({})).payments.length, 0, 'payments in the list');
  },
};

export const networkWayCases: readonly InteropCase[] = [
  otherWay,
  ldkOtherWay,
  bothWays('us', 'LDK'),
  bothWays('LDK', 'us'),
  otherChannel,
  fiveNodes,
  probes,
].map((each) => ({ ...each, channelTypes: ['anchors'] }));
