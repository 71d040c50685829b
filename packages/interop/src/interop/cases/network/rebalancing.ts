import type { InteropCase } from '../../interopCase.js';
import { Network } from '../../network.js';
import { expectSame, expectThat } from '../../waitUntil.js';

const amountMsat = 50_000_000n;

const circle = (announced: boolean): InteropCase => ({
  name: `us-LDK-LDK-us: we pay ourselves in a circle over two LDK nodes, over ${announced ? 'announced channels' : 'our own unannounced ones'}, there and back`,
  channelTypes: ['anchors'],
  async run(rig) {
    const network = await Network.open(rig, {
      nodes: { us: { kind: 'us' }, bob: { kind: 'LDK' }, carol: { kind: 'LDK' } },
      links: [
        { from: 'us', to: 'bob', announced },
        { from: 'bob', to: 'carol' },
        { from: 'carol', to: 'us', announced },
      ],
    });
    const { rivulet } = network.us('us');
    for (const [from, to] of [
      ['bob', 'carol'],
      ['carol', 'bob'],
    ] as const) {
      const before = await network.funds();
      const [[leaving], [returning]] = [await network.between('us', from), await network.between('us', to)];
      const moved = await rivulet.api.rebalance({
        fromChannelId: leaving!.channelId,
        toChannelId: returning!.channelId,
        amountMsat,
        maxFeePpm: 5_000,
      });
      expectSame(moved.status, 'succeeded', 'the payment');
      expectThat(moved.feeMsat > 0n, 'a fee');
      await network.untilQuiet();
      const [[left], [returned]] = [await network.between('us', from), await network.between('us', to)];
      expectSame(leaving!.localMsat - left!.localMsat, amountMsat + moved.feeMsat, `what left to ${from}`);
      expectSame(returned!.localMsat - returning!.localMsat, amountMsat, `what came back from ${to}`);
      const after = await network.funds();
      const gained = (name: string) => after.get(name)! - before.get(name)!;
      expectSame(gained('us'), -moved.feeMsat, 'what it cost us');
      expectSame(gained('bob') + gained('carol'), moved.feeMsat, 'what the others earned');
      const { payments } = await rivulet.api.payments({ direction: 'incoming' });
      expectSame(payments.length, 0, 'payments received: it is none');
    }
    const [[from], [to]] = [await network.between('us', 'bob'), await network.between('us', 'carol')];
    const tooDear = await rivulet.api
      .rebalance({ fromChannelId: from!.channelId, toChannelId: to!.channelId, amountMsat, maxFeePpm: 1 })
      .then(
        () => 'success',
        (error: { code?: string }) => error.code,
      );
    expectSame(tooDear, 'fee_limit', 'a fee that is too much');
  },
});

export const rebalancingCases: readonly InteropCase[] = [circle(true), circle(false)];
