import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { guardedFetch } from '@rivulet/keysend/node';
import { createSenderProof, senderProofType } from '@rivulet/keysend/proof';
import { fetchPoster, ReceivingService } from '@rivulet/keysend/receiving';
import { openToolkit } from '@rivulet/keysend/sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NetworkNode, startPair, type TestNetwork } from './network.test.support.js';

let network: TestNetwork;
let alice: NetworkNode;
let bob: NetworkNode;
let hook: Server;
/** The payments' numbers, as they came to the webhook. */
const delivered: number[] = [];

beforeAll(async () => {
  hook = createServer((request, response) => {
    delivered.push(Number(String(request.headers['rivulet-delivery']).split('-')[1]));
    // The third is refused, and comes again.
    request.resume().on('end', () => response.writeHead(delivered.length === 3 ? 500 : 200).end());
  });
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  ({ network, alice, bob } = await startPair());
});

afterAll(async () => {
  await network?.stop();
  await new Promise((resolve) => hook.close(resolve));
});

/** Pays Bob, signed by Alice's node where it is wanted. */
async function pay(
  n: number,
  { action, signed = false }: { action: string; signed?: boolean },
): Promise<void> {
  const preimage = sha256(Uint8Array.of(n));
  const amountMsat = BigInt(n) * 1_000n;
  const boostagram = { action, podcast: 'Tide', message: `number ${n}`, sender_name: 'Alice' };
  const records = new Map([[7629169n, utf8ToBytes(JSON.stringify(boostagram))]]);
  if (signed) {
    const proof = await createSenderProof(
      {
        paymentHash: bytesToHex(sha256(preimage)),
        recipient: bob.nodeId,
        amountMsat,
        records,
        sender: alice.nodeId,
        signedAtMs: Date.now(),
      },
      (text) => alice.wallet.signMessage(text),
    );
    records.set(senderProofType, proof);
  }
  const outcome = await alice.wallet.keysend({
    nodeId: bob.nodeId,
    amountMsat,
    records,
    key: `pay-${n}`,
    preimage,
    timeoutSeconds: 30,
  });
  expect(outcome).toMatchObject({ status: 'succeeded' });
}

test('a service over a real node takes every boost in once, knows who signed, and tells a webhook in order', async () => {
  const toolkit = openToolkit({ path: join(network.folder, 'toolkit.sqlite') });
  const { boosts } = toolkit;
  /** Time is real here, but for retries, which need not be waited for. */
  const timers = new Set<() => void>();
  const service = new ReceivingService({
    toolkit,
    wallets: [{ source: 'bob', wallet: bob.wallet }],
    poster: fetchPoster(guardedFetch({ allow: { loopback: true } })),
    now: () => nowMs,
    schedule: (_, run) => {
      timers.add(run);
      return () => timers.delete(run);
    },
    random: () => 0,
  });
  let nowMs = Date.now();
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((resolve) => setImmediate(resolve));
  };
  const { port } = hook.address() as AddressInfo;
  const randomBytes = (count: number) => new Uint8Array(count).fill(1);
  const { webhook } = service.webhooks.add(
    { url: `http://127.0.0.1:${port}/`, filter: { kinds: ['boost'] } },
    { now: () => nowMs, randomBytes },
  );
  await pay(1, { action: 'boost', signed: true });
  service.start();
  const heard: number[] = [];
  service.subscribeBoosts(({ id }) => heard.push(id));
  await pay(2, { action: 'stream' });
  await pay(3, { action: 'boost' });
  await until(() => boosts.lastId() === 3 && service.webhooks.status()[0]?.delivered === 2);
  expect(boosts.get(1)).toMatchObject({
    amountMsat: 1_000n,
    message: 'number 1',
    sender: { name: 'Alice', provenKey: alice.nodeId },
    problems: [],
  });
  expect(boosts.get(3)?.sender.provenKey).toBeUndefined();
  await service.stop();
  await pay(4, { action: 'boost' });
  service.start();
  await pay(5, { action: 'boost' });
  await until(() => service.webhooks.status()[0]?.failing !== undefined);
  expect(delivered).toEqual([1, 3, 4]);
  nowMs += 3_600_000;
  service.notify();
  await until(() => service.webhooks.status()[0]?.delivered === 4);
  expect(delivered).toEqual([1, 3, 4, 4, 5]);
  expect(service.webhooks.get(webhook.id)?.disabled).toBeUndefined();
  await service.stop();
  expect(boosts.totals({ by: 'kind' })).toMatchObject({
    total: { count: 5, amountMsat: 15_000n },
    groups: [
      { key: 'boost', count: 4 },
      { key: 'stream', count: 1 },
    ],
  });
  expect(heard).toContain(2);
  expect(new Set(heard).size).toBe(heard.length);
  toolkit.close();
});
