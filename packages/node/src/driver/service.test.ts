import { afterAll, beforeAll, expect, test } from 'vitest';
import { Pair } from './pair.test.support.js';
import { createService } from './service.js';

let pair: Pair;

beforeAll(async () => {
  pair = await Pair.withChannel({ reconnect: true });
});

afterAll(() => pair.stop());

function service() {
  return createService({ node: pair.alice.node, alias: 'alice', version: '0', onStop: () => {} });
}

const offCurve = `02${'ff'.repeat(32)}`;

test.each([
  ['own_node', () => pair.alice.node.nodeId, /this node itself/],
  ['node_id_invalid', () => offCurve, /no point of the curve/],
])('an id that no other node can have is refused by every endpoint (%s)', async (code, id, says) => {
  const refusal = { code, message: expect.stringMatching(says) };
  const nodeId = id();
  const at = { nodeId, host: '127.0.0.1', port: 1 };
  await expect(service().connect(at)).rejects.toMatchObject(refusal);
  await expect(service().openChannel({ ...at, capacitySat: 100_000n })).rejects.toMatchObject(refusal);
  await expect(service().keysend({ nodeId, amountMsat: 1n })).rejects.toMatchObject(refusal);
});

test('too much for the channel says how much could be sent, and that much can be', async () => {
  const { nodeId } = pair.bob.node;
  const [channel] = (await service().channels({})).channels;
  const spendableMsat = channel?.spendableMsat ?? 0n;
  for (const amountMsat of [spendableMsat + 1n, 20_000_000_000n]) {
    await expect(service().keysend({ nodeId, amountMsat })).rejects.toMatchObject({
      code: 'insufficient_balance',
      message: expect.stringContaining(
        `at most ${(Number(spendableMsat) / 1000).toLocaleString('en-US')} sat`,
      ),
      details: { spendableMsat: spendableMsat.toString() },
    });
  }
  expect(await service().keysend({ nodeId, amountMsat: spendableMsat })).toMatchObject({
    status: 'succeeded',
  });
});

test('a payment to a peer that is away dials it first', async () => {
  const { nodeId } = pair.bob.node;
  await service().disconnect({ nodeId });
  await expect.poll(() => pair.alice.node.channels[0]?.link).toBe('offline');
  const payment = await service().keysend({ nodeId, amountMsat: 1_000n });
  expect(payment.status).toBe('succeeded');
});

test('a channel that is closed is not closed again', async () => {
  const [channel] = (await service().channels({})).channels;
  const channelId = channel?.channelId ?? '';
  const closing = await service().closeChannel({ channelId, force: true });
  expect(closing.state).toBe('failed');
  const [failed] = (await service().channels({})).channels;
  expect(failed?.note).toMatch(/closed by us alone: .* free 144 blocks after/);
  await expect.poll(() => pair.closing).toBe(true);
  await pair.mine(1);
  const again = async () => service().closeChannel({ channelId });
  await expect(again()).rejects.toMatchObject({ code: 'channel_not_usable' });
});
