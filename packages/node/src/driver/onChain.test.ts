import { embeddedBackend } from '@rivulet/chain';
import { equalBytes } from '@rivulet/core/bytes';
import { afterEach, expect, test } from 'vitest';
import { Pair, startNode, until } from './pair.test.support.js';

let pair: Pair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

const keyOf = ({ node }: Pair['alice']) => [...node.turns.channels.keys()][0]!;
const phaseOf = ({ node }: Pair['alice']) => node.channels[0]?.phase.name;

test('without fee estimates a node starts, and still publishes what it has to', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  const { store } = alice;
  await alice.node.stop();
  const backend = embeddedBackend(pair.chain);
  const refusing = backend.broadcast;
  let reachable = false;
  backend.broadcast = async (tx) => {
    if (!reachable) throw new Error('the backend is away (a test)');
    return refusing(tx);
  };
  backend.estimateFeeratePerKw = async () => {
    throw new Error('no estimate (a test)');
  };
  pair.alice = await startNode(pair.chain, { seed: 1, store, backend });
  await pair.alice.node.closeChannel({ key: keyOf(pair.alice), force: true });
  reachable = true;
  await pair.mine(1);
  await until(() => pair!.closing, 'the commitment is published');
  await pair.mine(1);
  expect([phaseOf(pair.alice), phaseOf(bob)]).toEqual(['spent', 'spent']);
});

test('a block whose turn is lost is taken again, and a close in it is not missed', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  await alice.node.closeChannel({ key: keyOf(alice), force: true });
  await until(() => pair!.closing, 'the commitment is published');
  await until(() => phaseOf(bob) === 'failed', 'the other side knows');
  bob.store.full = 'after';
  const height = bob.node.blockHeight;
  pair.chain.mine({ blocks: 1 });
  await until(() => phaseOf(alice) === 'spent', 'one side has the block');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([phaseOf(bob), bob.node.blockHeight]).toEqual(['failed', height]);
  expect(bob.node.storage.getTip()?.height).toBe(height);
  bob.store.full = 'no';
  await pair.mine(150);
  // The sweeps are published, confirmed, and then deep enough.
  for (let i = 0; i < 20 && phaseOf(bob) !== 'closed'; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    await pair.mine(1);
  }
  expect([phaseOf(alice), phaseOf(bob)]).toEqual(['closed', 'closed']);
});

test.each(['force', 'together'] as const)('a close (%s) is published again after a restart', async (how) => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  // Nobody reaches the chain: neither side's transaction gets anywhere.
  for (const { backend } of [alice, bob]) {
    backend.broadcast = async () => {
      throw new Error('the backend is away (a test)');
    };
  }
  await alice.node.closeChannel({ key: keyOf(alice), force: how === 'force' });
  const phase = how === 'force' ? 'failed' : 'closing';
  await until(() => phaseOf(alice) === phase, 'the close is signed');
  expect(pair.closing).toBe(false);
  await pair.restart('alice');
  await until(() => pair!.closing, 'the close is published');
});

test('a funding transaction that a reorganisation took from chain and mempool is published again, after a restart too', async () => {
  const pair = await Pair.withChannel();
  await pair.restart('alice');
  const depth = 6;
  // The node is told of the new branch when the mempool is empty already.
  pair.chain.invalidateBlock(pair.chain.blockAt(pair.chain.height - depth + 1)!.hashHex);
  pair.chain.mempool.clear();
  pair.chain.mine({ blocks: depth + 1 });
  await pair.caughtUp();
  const { txid } = pair.alice.node.channels[0]!.params.fundingOutpoint;
  await until(
    () => pair.chain.mempool.entries().some((entry) => equalBytes(entry.txid, txid)),
    'it is there again',
  );
  await pair.mine(6);
  await pair.connect();
  await pair.usable();
  expect((await pair.pay(pair.alice, pair.bob).outcome).status).toBe('succeeded');
  await pair.stop();
});
