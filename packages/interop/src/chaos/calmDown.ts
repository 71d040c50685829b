import { waitUntil } from '../interop/waitUntil.js';
import type { KnownChannel } from './channelRegistry.js';
import type { ChaosNode } from './chaosNode.js';
import type { ChaosWorld } from './chaosWorld.js';
import type { Traffic } from './traffic.js';

/** Blocks are enough for all that waits for blocks. */
const maxBlocks = 900;
/** As long as nothing but depth is waited for, so many blocks come at once. */
const blocksAtOnce = 3;
const patientBlocks = 40;
/** After these all that is worth it has been claimed. */
const crumbBlocks = 330;

/** A channel that has something to do yet, as a node sees it. */
function unsettled(world: ChaosWorld, allowed: ReadonlySet<string>): boolean {
  return world.states.some((state, node) => {
    if (state === undefined) return true;
    if (state.sendings > 0 || state.forwards > 0) return true;
    return state.channels.some(({ channelId, phase, htlcs }) => {
      const known = world.registry.channels.get(channelId);
      if (known !== undefined && isPhantom(world, known, node)) return false;
      return !allowed.has(phase) || (phase === 'open' && htlcs > 0);
    });
  });
}

/** Its opener died before it kept it: nobody ever funds it. */
function isPhantom(world: ChaosWorld, { opener, fundingTxidHex, last }: KnownChannel, node: number): boolean {
  const { chain } = world.regtest;
  return (
    node !== opener &&
    !last.has(opener) &&
    chain.confirmed(fundingTxidHex) === undefined &&
    chain.mempool.entries().every(({ txidHex }) => txidHex !== fundingTxidHex)
  );
}

async function mineUntilSettled(
  world: ChaosWorld,
  { what, allowed }: { what: string; allowed: ReadonlySet<string> },
): Promise<void> {
  const { chain } = world;
  const { mempool } = chain.main;
  for (let blocks = 0; unsettled(world, allowed); ) {
    if (blocks >= maxBlocks) {
      world.finding(`${maxBlocks} blocks have not brought it that ${what}: ${world.describe()}`);
      return;
    }
    // A crumb that is worth less than its transaction waits for company: the audit sees what it is.
    if (blocks >= crumbBlocks && !unsettled(world, new Set([...allowed, 'spent']))) return;
    const step = blocks < patientBlocks || mempool.entries().length > 0 ? 1 : blocksAtOnce;
    chain.mine({ blocks: step });
    blocks += step;
    await world.caughtUp();
    if (blocks % 10 < step) await world.connectAll();
  }
}

/** Faults are off: everybody comes back, everybody gets his answer, and what stands on chain is settled. */
export async function calmDown(world: ChaosWorld, traffic: Traffic): Promise<void> {
  await Promise.all(world.nodes.map((node) => node.up()));
  await world.caughtUp();
  await waitUntil({
    what: 'all peers are connected',
    sources: [],
    timeoutMs: 60_000,
    check: async () => {
      await world.connectAll();
      await world.look();
      return world.links.every(({ dialer, listener }) =>
        world.states[dialer]?.peers.includes((world.nodes[listener] as ChaosNode).nodeId),
      );
    },
    context: async () => world.describe(),
  });
  await traffic.stop();
  await traffic.endHolds();
  await traffic.askAgain();
  // What chaos began to close, and whose node died over it.
  for (const { channelId, last } of world.registry.channels.values()) {
    if (!world.registry.isClosing(channelId)) continue;
    for (const [node, facts] of last) {
      if (facts.phase !== 'open' && facts.phase !== 'awaiting_ready') continue;
      await (world.nodes[node] as ChaosNode)
        .call(({ api }) => api.closeChannel({ channelId, force: true }))
        .catch(() => {});
    }
  }
  // What needs no blocks gets none: payments that go on with both peers there.
  await waitUntil({
    what: 'payments have ended',
    sources: [],
    timeoutMs: 15_000,
    check: async () => {
      await world.look();
      return !unsettled(world, anyPhase);
    },
  }).catch(() => {});
  await mineUntilSettled(world, {
    what: 'all is settled',
    allowed: new Set(['open', 'closed']),
  });
}

const anyPhase: ReadonlySet<string> = new Set([
  'awaiting_ready',
  'open',
  'closing',
  'failed',
  'stale',
  'spent',
  'closed',
]);

/** Closes all channels, most of them together with the peer, and waits until all is in the wallets. */
export async function closeAll(world: ChaosWorld): Promise<void> {
  let number = 0;
  for (const { channelId, opener, accepter, last } of world.registry.channels.values()) {
    const by = number % 2 === 0 ? opener : accepter;
    if (last.get(by)?.phase !== 'open') continue;
    const force = number++ % 3 === 2;
    world.registry.willClose(channelId, 'the end');
    world.note(`${(world.nodes[by] as ChaosNode).name} closes ${channelId}${force ? ' by force' : ''}`);
    try {
      await (world.nodes[by] as ChaosNode).call(({ api }) => api.closeChannel({ channelId, force }));
    } catch (error) {
      world.finding(`channel ${channelId} could not be closed: ${String(error)}`);
    }
  }
  await waitUntil({
    what: 'closes are agreed',
    sources: [],
    timeoutMs: 30_000,
    check: async () => {
      await world.look();
      return world.states.every((state) => state?.channels.every(({ phase }) => phase !== 'open'));
    },
    context: async () => world.describe(),
  }).catch((error: unknown) => world.finding(String(error)));
  await mineUntilSettled(world, { what: 'all channels are closed', allowed: new Set(['closed']) });
}
