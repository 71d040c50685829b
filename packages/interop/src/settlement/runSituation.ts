import { ChainAudit } from './chainAudit.js';
import { advanceCheater, close, type Ending, hearOfRelease, receiversOf, standing } from './closing.js';
import { channelOf, spendsFunding } from './line.js';
import { checkNodes } from './nodeChecks.js';
import { Scene } from './scene.js';
import { nameOf, reorgDepth, type Situation } from './situation.js';
import { feesOf, judgeLine } from './verdict.js';
import { SettlementError, World } from './world.js';

export interface RunOptions {
  /** Where the nodes' files are made, and removed again. */
  readonly parent: string;
  /** What a failure may need to be understood: the end of each node's log. */
  readonly withLog?: boolean;
}

/** More than the longest expiry, delay and burial. */
const mostBlocks = 400;

/** Runs one situation from the opening to the end. @throws SettlementError which says what was not right. */
export async function runSituation(situation: Situation, { parent, withLog }: RunOptions): Promise<void> {
  const world = new World({
    parent,
    commitment: situation.commitment,
    names: situation.path === 'middle' ? ['payer', 'us', 'payee'] : ['us', 'peer'],
    now: Date.now,
  });
  try {
    await new Run(world, situation).run();
  } catch (error) {
    const known = error instanceof SettlementError;
    const message =
      error instanceof Error ? ((known ? undefined : error.stack) ?? error.message) : String(error);
    const log = world.nodes.map(({ name, logLines }) => `--- ${name}\n${logLines.slice(-60).join('\n')}`);
    throw new SettlementError(withLog === true ? `${message}\n${log.join('\n')}` : message, { cause: error });
  } finally {
    await world.end();
  }
}

class Run {
  readonly #world: World;
  readonly #situation: Situation;
  #scene!: Scene;
  #ending!: Ending;
  #startHeight = 0;

  constructor(world: World, situation: Situation) {
    this.#world = world;
    this.#situation = situation;
  }

  async run(): Promise<void> {
    const world = this.#world;
    const { close: how, preimage, resolution } = this.#situation;
    await world.begin({ simpleClose: how !== 'mutual_legacy' });
    this.#startHeight = world.chain.height + 1;
    const begin = new ChainAudit(world.chain, { from: this.#startHeight, nodes: world.nodes });
    const walletsBefore = new Map(world.nodes.map((node) => [node, begin.walletSat(node)]));

    const scene = new Scene(world, this.#situation);
    this.#scene = scene;
    await scene.stand();
    this.#ending = await close(scene);
    await world.quiet();
    await this.#between();
    if (resolution !== 'in_time' && preimage === 'before_close') await this.#leave();
    await world.mine(1);
    await this.#between();
    if (how === 'revoked_advanced') await advanceCheater(scene);
    if (preimage === 'after_close' || preimage === 'from_chain') {
      for (const payment of standing(scene)) await scene.release(payment);
      await hearOfRelease(scene);
    }
    if (resolution !== 'in_time' && preimage !== 'before_close') await this.#leave();
    await this.#reorganiseClose();
    if (resolution !== 'in_time') await this.#comeBackLate();
    await this.#untilClosed();
    this.#check(walletsBefore);
  }

  /** Stops and starts all that run, if the situation wants it. */
  async #between(): Promise<void> {
    const { restart } = this.#situation;
    if (restart === 'none') return;
    const world = this.#world;
    const running = [...world.running];
    for (const node of running) await node[restart]();
    for (const node of running) await node.start();
    await world.quiet();
    const { openLine } = this.#scene;
    if (openLine === undefined) return;
    await world.connect(openLine.us, openLine.peer);
    await world.until(
      () => (['us', 'peer'] as const).every((side) => channelOf(openLine, side).link === 'online'),
      'the open channel is in use again',
    );
  }

  async #leave(): Promise<void> {
    const { us, peer } = this.#scene.line;
    await us.stop();
    await peer.stop();
  }

  async #comeBackLate(): Promise<void> {
    const world = this.#world;
    const { line } = this.#scene;
    const { resolution } = this.#situation;
    const last = Math.max(...line.htlcs.map(({ expiry }) => expiry));
    await world.mine(last + 1 - world.chain.height);
    const [receiver] = [...receiversOf(this.#scene)];
    const offerer = receiver === line.us ? line.peer : line.us;
    if (receiver === undefined) throw new SettlementError('nobody receives anything');
    if (resolution === 'race') {
      // Who is first there is a matter of the situation, not of the day.
      const first = nameOf(this.#situation).length % 2 === 0 ? receiver : offerer;
      await first.start();
      await (first === line.us ? line.peer : line.us).start();
      await world.quiet();
      return;
    }
    const first = resolution === 'late_receiver' ? receiver : offerer;
    await first.start();
    await world.quiet();
    const begun = world.chain.height;
    while (!this.#htlcsTaken()) {
      if (world.chain.height > begun + 20) throw new SettlementError(`${first.name} takes no HTLC`);
      await world.mine(1);
    }
    const second = first === line.us ? line.peer : line.us;
    await second.start();
    await world.quiet();
  }

  get #commitments() {
    const { chain } = this.#world;
    return this.#scene.lines.flatMap((line) => {
      const spend = chain.confirmedSpend(line.outpoint);
      return spend === undefined ? [] : [{ line, tx: spend.transaction.tx, id: spend.transaction.txid }];
    });
  }

  /** Whether a block has spent every HTLC output. */
  #htlcsTaken(): boolean {
    const { chain } = this.#world;
    return this.#commitments.every(({ line, tx, id }) =>
      tx.outputs.every(
        ({ valueSat }, index) =>
          !line.htlcs.some(({ amountMsat }) => amountMsat / 1000n === valueSat) ||
          chain.confirmedSpend({ txid: id, index }) !== undefined,
      ),
    );
  }

  /** The height of the first block that spends an output of a commitment. */
  get #firstClaimHeight(): number | undefined {
    const { chain } = this.#world;
    const heights = this.#commitments.flatMap(({ tx, id }) =>
      tx.outputs.flatMap((_, index) => {
        const spend = chain.confirmedSpend({ txid: id, index });
        const found = spend && chain.confirmed(spend.transaction.txidHex);
        return found === undefined ? [] : [found.block.height];
      }),
    );
    return heights.length === 0 ? undefined : Math.min(...heights);
  }

  /** The block of the closing transaction is undone when it has the depth. */
  async #reorganiseClose(): Promise<void> {
    const { reorg } = this.#situation;
    if (!reorg.startsWith('close')) return;
    const world = this.#world;
    const { chain } = world;
    const depth = reorgDepth(this.#situation);
    const closed = Math.min(
      ...this.#commitments.map(({ tx }) => chain.confirmed(world.hexIdOf(tx))?.block.height ?? chain.height),
    );
    for (let i = chain.height - closed + 1; i < depth; i++) await world.mine(1);
    if (reorg.startsWith('close_again')) {
      chain.reorganise({ depth: chain.height - closed + 1 });
      await world.quiet();
      await this.#between();
      return;
    }
    const { line } = this.#scene;
    const other = this.#ending.holder === 'us' ? 'peer' : 'us';
    const instead = [...(other === 'us' ? line.us : line.peer).broadcasts.values()].find((tx) =>
      spendsFunding(line, tx),
    );
    if (instead === undefined) throw new SettlementError('the other side has no commitment');
    const undone = chain.height - closed + 1;
    chain.invalidateBlock(chain.blockAt(closed)?.hashHex ?? '');
    chain.mempool.clear();
    chain.broadcast(instead);
    chain.mine({ blocks: undone + 1 });
    const { latest } = this.#ending;
    // Whoever went back to an older file to cheat does not know our latest commitment.
    this.#ending = { holder: other, cheated: false, ...(latest === undefined ? {} : { blind: 'peer' }) };
    if (latest !== undefined) Object.assign(line, latest);
    await world.quiet();
    await this.#between();
  }

  /** The first claim's block is undone when it has the depth, and the mempool has nothing of it. */
  async #reorganiseClaim(first: number): Promise<void> {
    const world = this.#world;
    const { chain } = world;
    const depth = reorgDepth(this.#situation);
    for (let i = chain.height - first + 1; i < depth; i++) await world.mine(1);
    const undone = chain.height - first + 1;
    chain.invalidateBlock(chain.blockAt(first)?.hashHex ?? '');
    chain.mempool.clear();
    chain.mine({ blocks: undone + 1, transactions: 'none' });
    await world.quiet();
    await this.#between();
  }

  async #untilClosed(): Promise<void> {
    const world = this.#world;
    const { lines } = this.#scene;
    let reorganises = this.#situation.reorg.startsWith('claim');
    let restarts = this.#situation.restart !== 'none';
    const isClosed = () =>
      lines.every((line) =>
        (['us', 'peer'] as const).every((side) => channelOf(line, side).phase.name === 'closed'),
      );
    const end = world.chain.height + mostBlocks;
    while (!isClosed()) {
      if (world.chain.height > end)
        throw new SettlementError(`after ${mostBlocks} blocks: ${this.#phases()}`);
      await world.mine(1);
      const first = this.#firstClaimHeight;
      if (first === undefined) continue;
      if (reorganises) {
        reorganises = false;
        await this.#reorganiseClaim(first);
      } else if (restarts) {
        restarts = false;
        await this.#between();
      }
    }
    await this.#paid();
    // What is held for an HTLC that a channel has no more is given up when that would have expired.
    const expiries = lines.flatMap(({ htlcs }) => htlcs.map(({ expiry }) => expiry));
    await world.mine(Math.max(6, ...expiries.map((expiry) => expiry - world.chain.height)));
  }

  #phases(): string {
    return this.#scene.lines
      .flatMap((line) =>
        (['us', 'peer'] as const).map(
          (side) => `${line[side].name} has the channel ${channelOf(line, side).phase.name}`,
        ),
      )
      .join(', ');
  }

  /** The channel of a middle that stays open has no HTLC any more. */
  async #paid(): Promise<void> {
    const { openLine } = this.#scene;
    if (openLine === undefined) return;
    await this.#world.until(
      () => (['us', 'peer'] as const).every((side) => channelOf(openLine, side).htlcs.size === 0),
      'the other channel’s HTLC is over',
    );
    await this.#scene.calm();
  }

  #check(walletsBefore: ReadonlyMap<World['nodes'][number], bigint>): void {
    const world = this.#world;
    const scene = this.#scene;
    const audit = new ChainAudit(world.chain, { from: this.#startHeight, nodes: world.nodes });
    const verdicts = scene.lines.map((line) => ({
      line,
      ...judgeLine(scene, this.#ending, { line, audit }),
    }));
    const commitments = new Set(verdicts.map(({ commitment }) => commitment));
    const problems: string[] = [];
    for (const node of world.nodes) {
      let dueSat = 0n;
      for (const { line, dueSat: due } of verdicts) {
        if (line.us === node) dueSat += due.us;
        if (line.peer === node) dueSat += due.peer;
      }
      const expected =
        (walletsBefore.get(node) ?? 0n) + dueSat - feesOf(scene, { audit, node, closing: commitments });
      const found = audit.walletSat(node);
      if (found !== expected) {
        problems.push(`the wallet of ${node.name} has ${found} sat, not ${expected} (${found - expected})`);
      }
    }
    const fates = new Map(verdicts.flatMap(({ fates: of }) => [...of]));
    problems.push(...checkNodes(scene, { ending: this.#ending, fates, audit }));
    if (world.chain.mempool.size > 0) {
      problems.push(`in the mempool there are ${world.chain.mempool.size} transactions still`);
    }
    if (problems.length > 0) throw new SettlementError(problems.join('; '));
  }
}
