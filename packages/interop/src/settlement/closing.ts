import { bytesToHex } from '@rivulet/core/bytes';
import { channelOf, type Line, nodeOf, type PaymentFact } from './line.js';
import type { Side } from './oracle.js';
import type { Scene } from './scene.js';
import type { SettlementNode } from './settlementNode.js';
import { toSelfDelay } from './settlementNode.js';

/** How a channel ended: whose commitment is on its way to a block, or that both closed together. */
export interface Ending {
  readonly holder: Side | 'both';
  /** What the commitment on its way was made from, where that is not what stands now. */
  readonly cheated: boolean;
  /** Who does not know the commitment: his data is lost. */
  readonly blind?: Side;
  /** What our latest commitment was made from, where the peer has cheated. */
  readonly latest?: Pick<Line, 'balanceMsat' | 'htlcs'>;
}

/** Blocks before the last expiry at which a cheater publishes, so that he has it all before our delay is over. */
const cheaterLeadBlocks = 4;

/** Ends the channels of a scene as its situation says; the transaction is in the mempool then. */
export async function close(scene: Scene): Promise<Ending> {
  const { situation, line } = scene;
  switch (situation.close) {
    case 'local':
    case 'remote':
      return closeLatest(scene, situation.close === 'local' ? 'us' : 'peer');
    case 'remote_previous':
      await scene.payIntoTheVoid();
      await releaseAll(scene);
      await publish(scene, line, 'peer');
      return { holder: 'peer', cheated: false };
    case 'revoked':
    case 'revoked_advanced':
      return { holder: 'peer', cheated: true, latest: await cheat(scene) };
    case 'mutual_legacy':
    case 'mutual_simple':
      await closeTogether(scene);
      return { holder: 'both', cheated: false };
    case 'data_loss':
      await loseData(scene);
      return { holder: 'peer', cheated: false, blind: 'us' };
  }
}

async function closeLatest(scene: Scene, holder: Side): Promise<Ending> {
  const { lines, situation } = scene;
  for (const line of lines) if (channelOf(line, 'us').link !== 'offline') await scene.disconnect(line);
  if (situation.preimage === 'before_close') await releaseAll(scene);
  for (const line of lines) await publish(scene, line, holder);
  return { holder, cheated: false };
}

/** The other one does so too where his is to be mined in the end; the first is in the mempool already. */
async function publish(scene: Scene, line: Line, holder: Side): Promise<void> {
  await scene.forceClose(line, holder);
  if (scene.situation.reorg.startsWith('close_other')) {
    await scene.forceClose(line, holder === 'us' ? 'peer' : 'us');
  }
}

/** Payees give their preimages out, if that is to happen before the close. */
async function releaseAll(scene: Scene): Promise<void> {
  if (scene.situation.preimage !== 'before_close') return;
  for (const payment of standing(scene)) await scene.release(payment);
  await hearOfRelease(scene);
}

/** The payments that somebody can fulfil: their HTLCs are irrevocably committed. */
export function standing(scene: Scene): PaymentFact[] {
  const committed = scene.lines.flatMap(({ htlcs }) =>
    htlcs.filter(({ inCommitmentOf }) => inCommitmentOf.length === 2).map(({ payment }) => payment),
  );
  return [...new Set(committed)].filter(({ released, payee }) => !released && payee.running);
}

/** A middle whose next channel stays open hears the preimage over it. */
export async function hearOfRelease({ situation, world, openLine }: Scene): Promise<void> {
  if (situation.path !== 'middle' || situation.htlcs !== 'received' || openLine === undefined) return;
  await world.until(
    () => [...channelOf(openLine, 'us').htlcs].length === 0,
    'the preimage has come over the next channel',
  );
}

/** The peer goes back to an older state and publishes that. */
async function cheat(scene: Scene): Promise<Pick<Line, 'balanceMsat' | 'htlcs'>> {
  const { situation, line, world } = scene;
  const { us, peer } = line;
  const snapshot = peer.snapshot();
  const cheatersFacts = { balanceMsat: { ...line.balanceMsat }, htlcs: [...line.htlcs] };
  if (situation.preimage === 'before_close') {
    for (const payment of standing(scene)) await scene.release(payment);
    await world.until(
      () => (['us', 'peer'] as const).every((side) => [...channelOf(line, side).htlcs].length === 0),
      'the HTLCs are settled',
    );
  }
  await scene.payOnce();
  await scene.disconnect(line);
  if (situation.preimage === 'before_close') scene.noteSettled(line);
  const latest = { balanceMsat: line.balanceMsat, htlcs: line.htlcs };
  // From here on the line is what the cheater's commitment was made from.
  Object.assign(line, cheatersFacts);
  const advances = situation.close === 'revoked_advanced';
  if (situation.reorg.startsWith('close_other')) await scene.forceClose(line, 'us');
  if (advances) await us.stop();
  await peer.stop();
  peer.setBack(snapshot);
  await peer.start();
  await world.quiet();
  if (situation.reorg.startsWith('close_other')) world.chain.mempool.clear();
  if (advances) await prepareSecondStage(scene, peer);
  if (channelOf(line, 'peer').phase.name === 'open') await scene.forceClose(line, 'peer');
  else await scene.commitmentOf(line, 'peer');
  return latest;
}

/** The cheater learns what he can, and waits for what he offered to expire. */
async function prepareSecondStage({ line, world }: Scene, peer: SettlementNode): Promise<void> {
  for (const { from, payment } of line.htlcs) {
    if (from !== 'us' || !payment.released) continue;
    const { receiver } = peer.node.payments;
    if (peer.node.storage.getInvoice(payment.paymentHash)?.state !== 'held') continue;
    await receiver.settleHeld(payment.paymentHash, payment.preimage);
  }
  const expiries = line.htlcs.filter(({ from }) => from === 'peer').map(({ expiry }) => expiry);
  if (expiries.length === 0) return;
  const until = Math.max(...expiries) - cheaterLeadBlocks;
  world.chain.mine({ blocks: until - world.chain.height, transactions: 'none' });
  await world.quiet();
}

/** Until every second-stage transaction of the cheater's is in a block; then we come back. */
export async function advanceCheater(scene: Scene): Promise<void> {
  const { line, world } = scene;
  const commitment = await scene.commitmentOf(line, 'peer');
  const id = world.idOf(commitment);
  const wanted = line.htlcs.filter(({ from, payment }) => from === 'peer' || payment.released).length;
  const taken = () =>
    commitment.outputs.filter(
      ({ valueSat }, index) =>
        line.htlcs.some(({ amountMsat }) => amountMsat / 1000n === valueSat) &&
        world.chain.confirmedSpend({ txid: id, index }) !== undefined,
    ).length;
  for (let i = 0; taken() < wanted; i++) {
    if (i === toSelfDelay - 2) throw new Error(`the cheater took ${taken()} of ${wanted} HTLCs in time`);
    await world.mine(1);
  }
  await line.us.start();
  await world.quiet();
}

async function closeTogether(scene: Scene): Promise<void> {
  const { line, world, situation } = scene;
  const { us } = line;
  await us.node.closeChannel({ key: bytesToHex(line.channelId), force: false });
  await world.until(
    () =>
      (['us', 'peer'] as const).every((side) => {
        const { shutdown } = channelOf(line, side);
        return shutdown.localScript !== undefined && shutdown.remoteScript !== undefined;
      }),
    'both want to close',
  );
  for (const payment of standing(scene)) {
    if (situation.preimage === 'before_close') await scene.release(payment);
    else await payment.payee.node.payments.receiver.cancel(payment.paymentHash);
  }
  await world.until(() => world.spender(line.outpoint) !== undefined, 'the closing transaction is sent');
  await world.until(
    () => (['us', 'peer'] as const).every((side) => channelOf(line, side).phase.name === 'closing'),
    'both have the closing transaction',
  );
  await world.quiet();
  scene.noteSettled(line);
  line.htlcs = [];
}

/** Our file is replaced by an older one, and the peer hears of it. */
async function loseData(scene: Scene): Promise<void> {
  const { line, world, situation } = scene;
  const { us, peer } = line;
  const { before } = scene;
  if (before === undefined) throw new Error('there is no older file');
  await scene.payOnce();
  await us.stop();
  await world.until(() => channelOf(line, 'peer').link === 'offline', 'the peer knows that we are gone');
  if (situation.preimage === 'before_close') {
    for (const payment of standing(scene)) if (payment.payee === peer) await scene.release(payment);
  }
  us.setBack(before);
  await us.start();
  await world.connect(us, peer);
  await scene.commitmentOf(line, 'peer');
  await world.until(() => channelOf(line, 'us').phase.name === 'stale', 'we know that our data is old');
  await world.quiet();
}

/** Who receives an HTLC that stands. */
export function receiversOf({ lines }: Scene): Set<SettlementNode> {
  return new Set(
    lines.flatMap((line) => line.htlcs.map(({ from }) => nodeOf(line, from === 'us' ? 'peer' : 'us'))),
  );
}
