import { RegtestChain } from '@rivulet/chain';
import type { ChannelType } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { CloseRig } from './testing/closeRig.js';

const fundingSat = 1_000_000n;
const channelTypes: ChannelType[] = ['static_remotekey', 'anchors'];

function regtest(): RegtestChain {
  return new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw: 500 });
}

async function rigOf(
  channelType: ChannelType,
  options: Partial<ConstructorParameters<typeof CloseRig>[1]> = {},
): Promise<CloseRig> {
  const rig = new CloseRig(regtest(), { channelType, fundingSat, ...options });
  await rig.start();
  return rig;
}

describe.each(channelTypes)('a close of a channel without payments (%s)', (channelType) => {
  test('brings both balances home, ours after its delay and theirs at once', async () => {
    const rig = await rigOf(channelType);
    const commitment = rig.pair.commitmentOf('alice');
    rig.chain.broadcast(commitment);
    await rig.mine();
    const { height } = rig.chain;
    expect(rig.alice.sweeper.status(commitment.inputs[0]!.outpoint.txid)?.spend).toMatchObject({
      kind: 'local_commitment',
      latest: true,
    });
    await rig.mine();
    expect(rig.bob.wallet.receivedSat).toBeGreaterThan(499_000n);
    expect(rig.alice.wallet.receivedSat).toBe(0n);

    // Bob asked for 10 blocks: the sweep is in the block that gives the output its tenth confirmation after.
    await rig.mineTo(height + 9);
    expect(rig.alice.wallet.receivedSat).toBe(0n);
    await rig.mine();
    expect(rig.alice.wallet.receivedSat).toBeGreaterThan(490_000n);

    await rig.mine(6);
    for (const node of [rig.alice, rig.bob]) {
      expect(node.events.map(({ type }) => type)).toEqual(['resolved']);
      expect(node.broadcast.every(({ result }) => result === 'accepted')).toBe(true);
      expect(node.errors).toEqual([]);
    }
  });
});
