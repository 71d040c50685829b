import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { equalBytes } from '@rivulet/core/bytes';
import { InteropChain } from '../ldk/interopChain.js';
import { LdkError } from '../ldk/ldkError.js';
import { LdkProcess } from '../ldk/ldkProcess.js';
import type { LdkNodeOptions } from '../ldk/ldkTypes.js';
import type { BenchNode, BenchRequest } from './benchResult.js';

/** LDK tells that a payment is sent before its HTLC is gone: half of 483 leaves room for those. */
export const ldkMaxInFlight = 240;
/** V8 has translated the hot half of LDK's WebAssembly by then; before, it runs at half the speed. */
export const ldkWarmUpPayments = 600;

/**
 * LDK nodes in processes of their own, on one chain. Every update of a channel monitor is written and fsynced
 * before LDK goes on; the manager is written once a second.
 */
export class LdkBenchNodes {
  readonly chain = new InteropChain();
  readonly #folder = mkdtempSync(join(tmpdir(), 'rivulet-bench-'));
  readonly #nodes: { node: LdkProcess; folder: string }[] = [];

  async start(options: Partial<LdkNodeOptions> = {}): Promise<LdkProcess> {
    const number = this.#nodes.length + 1;
    const dataDir = join(this.#folder, String(number));
    const node = await LdkProcess.start({
      options: {
        seed: new Uint8Array(32).fill(number),
        dataDir,
        managerPersistence: 'second',
        logLevel: 'error',
        eventHistory: 500,
        eventPaths: false,
        quiet: true,
        ...options,
      },
      chain: this.chain.ldk,
      fund: this.chain.fund,
    });
    this.#nodes.push({ node, folder: dataDir });
    return node;
  }

  /** Opens a channel; blocks have still to be mined. */
  async open(
    from: LdkProcess,
    to: LdkProcess,
    channel: { capacitySat: bigint; announced: boolean },
  ): Promise<void> {
    await from.connect(to);
    const { fundingTxid } = await from.openChannel({ pubkey: to.pubkey, ...channel });
    await from.log.waitForEvent('broadcast', ({ txids }) => txids.some((id) => equalBytes(id, fundingTxid)));
  }

  /** Mines, until all channels of all nodes are usable. */
  async mineUntilUsable(blocks: number): Promise<void> {
    this.chain.mine(blocks);
    for (const { node } of this.#nodes) {
      await node.log.waitFor(
        async () => {
          await node.sync();
          return (await node.channels()).every(({ isUsable }) => isUsable);
        },
        { what: 'channels usable' },
      );
    }
  }

  async measure(node: LdkProcess): Promise<BenchNode> {
    const { folder } = this.#nodes.find((each) => each.node === node) as { folder: string };
    const storedBytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    return { rssBytes: await node.rssBytes(), storedBytes };
  }

  async stop(): Promise<void> {
    for (const { node } of this.#nodes) await node.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Room in one channel for all payments, with reserve and the fees of a commitment full of HTLCs on top. */
export function ldkCapacitySat({ amountMsat, payments }: BenchRequest): bigint {
  return ((amountMsat / 1000n) * BigInt(payments + ldkWarmUpPayments) * 11n) / 10n + 2_000_000n;
}

/** @throws LdkError when more payments are to be in flight than LDK can have. */
export function checkLdkInFlight({ inFlight }: BenchRequest): void {
  if (inFlight <= ldkMaxInFlight) return;
  throw new LdkError('ldk_refused', `LDK can have ${ldkMaxInFlight} payments in flight, not ${inFlight}`);
}
