import { bytesToHex } from '@rivulet/core/bytes';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import { expectSame, expectThat } from '../waitUntil.js';
import { failureOf } from './outcomes.js';

const privateWithAliases = (opener: Opener): InteropCase => ({
  name: `${opener} opens: the channel is private, of the type agreed, and both gave an alias`,
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener });
    const [channel] = rivulet.channels;
    const { params, readiness } = channel!;
    expectSame(params.announce, false, 'announced');
    expectSame(params.format.commitment, rig.channelType, 'the type in Rivulet');
    expectSame((await pair.ldkChannel()).channelType, rig.channelType, 'the type in LDK');
    expectSame(params.localIsOpener, opener === 'rivulet', 'Rivulet is the opener');
    expectThat(readiness.remoteAlias !== undefined, "LDK's alias is known");
    expectThat(readiness.localAlias !== undefined, 'an alias of our own was given');
    const expectedMsat = opener === 'rivulet' ? 600_000_000n : 400_000_000n;
    await pair.expectBalances({ rivuletMsat: expectedMsat });
  },
});

const large = (opener: Opener): InteropCase => ({
  name: `${opener} opens a large channel of 2 BTC; payments of 0.1 BTC both ways`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const capacitySat = 200_000_000n;
    const pair = await Pair.open(rig, peers, { opener, capacitySat, pushSat: 80_000_000n });
    const { rivulet, ldk } = pair;
    const rivuletMsat = opener === 'rivulet' ? 120_000_000_000n : 80_000_000_000n;
    const amountMsat = 10_000_000_000n;
    await rivulet.api.keysend({ nodeId: bytesToHex(ldk.pubkey), amountMsat });
    await pair.expectBalances({ rivuletMsat: rivuletMsat - amountMsat });
    await ldk.sendKeysend({ pubkey: rivulet.pubkey, amountMsat });
    await pair.expectBalances({ rivuletMsat });
  },
});

const refusedByLdk: InteropCase = {
  name: 'LDK refuses a channel: the opening fails with a sentence and the coins are free again',
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const ldk = await rig.startLdk({ acceptChannels: false });
    await rig.fund(rivulet, ldk);
    const before = await rivulet.api.balance({});
    const message = await failureOf(
      rivulet.api.openChannel({
        nodeId: bytesToHex(ldk.pubkey),
        host: '127.0.0.1',
        port: ldk.port,
        capacitySat: 1_000_000n,
        channelType: rig.channelType,
      }),
    );
    expectThat(message.includes('the peer refused'), `a sentence, not "${message}"`);
    const after = await rivulet.api.balance({});
    expectSame(after.onchain.confirmedSat, before.onchain.confirmedSat, 'free coins');
    expectSame((await rivulet.api.channels({})).channels.length, 0, 'channels');
  },
};

const refusedByRivulet: InteropCase = {
  name: 'Rivulet refuses a channel that is too small: LDK hears why',
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const ldk = await rig.startLdk();
    await rig.fund(rivulet, ldk);
    await ldk.connect({ pubkey: rivulet.pubkey, port: rivulet.port });
    const message = await failureOf(ldk.openChannel({ pubkey: rivulet.pubkey, capacitySat: 19_999n }));
    expectThat(message.includes('20000'), `the least that Rivulet takes, not "${message}"`);
    expectSame((await rivulet.api.channels({})).channels.length, 0, 'channels');
    expectSame((await ldk.channels()).length, 0, "LDK's channels");
  },
};

export const openingCases: readonly InteropCase[] = [
  privateWithAliases('rivulet'),
  privateWithAliases('ldk'),
  large('rivulet'),
  large('ldk'),
  refusedByLdk,
  refusedByRivulet,
];
