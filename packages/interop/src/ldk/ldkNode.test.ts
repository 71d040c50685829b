import { bytesToHex } from '@rivulet/core/bytes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InteropChain } from './interopChain.js';
import { LdkNode } from './ldkNode.js';
import type { LdkNodeOptions } from './ldkTypes.js';

let chain: InteropChain;
let nodes: LdkNode[];

async function startNode(seed: number, options: Partial<LdkNodeOptions> = {}): Promise<LdkNode> {
  const node = await LdkNode.start({
    options: { seed: new Uint8Array(32).fill(seed), ...options },
    chain: chain.ldk,
    fund: chain.fund,
  });
  nodes.push(node);
  return node;
}

async function openChannel(from: LdkNode, to: LdkNode) {
  await from.connect(to);
  const opened = await from.openChannel({
    pubkey: to.pubkey,
    capacitySat: 1_000_000n,
    pushMsat: 300_000_000n,
  });
  chain.mine(1);
  for (const node of [from, to]) {
    await node.log.waitFor(async () => (await node.channels())[0]?.isUsable, { what: 'channel usable' });
  }
  return opened;
}

beforeEach(() => {
  chain = new InteropChain();
  nodes = [];
});

afterEach(async () => {
  for (const node of nodes) await node.stop();
});

describe.each(['anchors', 'static_remotekey'] as const)(
  'two LDK nodes with a channel of type %s',
  (channelType) => {
    test('pay each other by keysend with custom records, and close', async () => {
      const alice = await startNode(1, { channelType });
      const bob = await startNode(2, { channelType });
      const { channelId } = await openChannel(alice, bob);
      expect((await bob.channels())[0]).toMatchObject({
        channelType,
        capacitySat: 1_000_000n,
        isOutbound: false,
      });

      const customRecords = new Map([
        [65_537n, Uint8Array.of(1, 2, 3)],
        [7_629_169n, new TextEncoder().encode('{"action":"boost"}')],
      ]);
      const preimage = new Uint8Array(32).fill(7);
      const sent = await alice.sendKeysend({
        pubkey: bob.pubkey,
        amountMsat: 10_000_000n,
        customRecords,
        preimage,
      });
      expect(bytesToHex(sent.preimage)).toBe(bytesToHex(preimage));
      const [received] = bob.log.eventsOf('paymentClaimable');
      expect(received).toMatchObject({ amountMsat: 10_000_000n, customRecords });
      expect(bytesToHex(received!.preimage!)).toBe(bytesToHex(preimage));

      await bob.sendKeysend({ pubkey: alice.pubkey, amountMsat: 1000n, withPaymentSecret: true });
      expect(alice.log.eventsOf('paymentClaimable')[0]!.paymentSecret).toHaveLength(32);

      await alice.closeChannel({ channelId, pubkey: bob.pubkey });
      const closed = await bob.log.waitForEvent('channelClosed', () => true);
      expect(closed.reason).toBe('CounterpartyInitiatedCooperativeClosure');
      expect([...chain.regtest.mempool.entries()]).toHaveLength(1);
    });
  },
);

test('a payment that is held survives a crash of both nodes and is then claimed', async () => {
  const alice = await startNode(3);
  const bob = await startNode(4, { receivePolicy: 'hold' });
  await openChannel(alice, bob);
  const paymentId = await alice.startKeysend({ pubkey: bob.pubkey, amountMsat: 5_000_000n });
  const { preimage } = await bob.log.waitForEvent('paymentClaimable', () => true);

  await alice.restart({ crash: true });
  await bob.restart({ crash: true });
  await alice.connect(bob);
  await bob.claimPayment(preimage!);
  await expect(alice.log.settlement(paymentId)).resolves.toMatchObject({ preimage });
});

test('a payment that the receiver fails is rejected with the reason', async () => {
  const alice = await startNode(5);
  const bob = await startNode(6, { receivePolicy: 'fail' });
  await openChannel(alice, bob);
  await expect(alice.sendKeysend({ pubkey: bob.pubkey, amountMsat: 5_000_000n })).rejects.toThrow(
    'RecipientRejected',
  );
});

test('a wait that is in vain says for what', async () => {
  const alice = await startNode(7);
  await expect(
    alice.log.waitFor(() => false, { what: 'a channel nobody opened', timeoutMs: 20 }),
  ).rejects.toThrow('a channel nobody opened: not within 20 ms');
});
