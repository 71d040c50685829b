import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initCrypto } from '@rivulet/core/crypto';
import { createDice } from '../interop/dice.js';
import { auditChannels, auditPayments, auditWallets } from './audit.js';
import { calmDown, closeAll } from './calmDown.js';
import { ChainBooks } from './chainBooks.js';
import type { ChaosNodeBooks } from './chaosChildProtocol.js';
import { ChaosWorld } from './chaosWorld.js';
import { FaultMaker } from './faultMaker.js';
import { planFaults } from './faultPlan.js';
import { PaymentLedger } from './paymentLedger.js';
import { Traffic } from './traffic.js';

export interface ChaosOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly keep?: boolean;
  /** Payments asked for in a second, on average. Default: 5 */
  readonly paymentsPerSecond?: number;
  readonly onProgress?: (line: string) => void;
}

export interface ChaosResult {
  readonly seed: number;
  readonly minutes: number;
  readonly ok: boolean;
  readonly summary: string;
  readonly violations: readonly string[];
  readonly faults: Readonly<Record<string, number>>;
  readonly payments: {
    readonly asked: number;
    readonly succeeded: number;
    readonly lost: number;
    readonly doubled: number;
    readonly stuck: number;
    readonly dustLost: number;
  };
  readonly channels: number;
  readonly onchainFeesSat: string;
  readonly differencesMsat: readonly string[];
  readonly tolerancesMsat: readonly string[];
  /** Of the nodes' processes, all lives together. */
  readonly cpuSeconds: number;
  /** Of this process: the chain, the wires, the users. */
  readonly ownCpuSeconds: number;
  readonly wallSeconds: number;
  readonly peakRssMb: readonly number[];
  /** Lines of the nodes' logs at level error, by their text. */
  readonly errors: Readonly<Record<string, number>>;
  /** Where the folders are, if they were kept. */
  readonly folder?: string;
}

const maintenanceMs = 2_000;
const progressMs = 10_000;
/** A node of three channels has no business with more. */
const maxRssMb = 700;

/**
 * Three nodes in processes of their own, paying one another all the time while everything goes wrong that the
 * seed says; then all is calmed down and settled, and the books are compared. The schedule of faults is the same
 * for the same seed; what the processes are doing at that moment is not quite.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, minutes, onProgress = () => {} } = options;
  await initCrypto();
  const begin = performance.now();
  const cpuBefore = process.cpuUsage();
  const seconds = () => Math.round((performance.now() - begin) / 1000);
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-chaos-'));
  const world = await ChaosWorld.create({ folder, seed });
  const ledger = new PaymentLedger(join(folder, 'ledger.jsonl'));
  const faults = new FaultMaker(world);
  const traffic = new Traffic({
    nodes: world.nodes,
    ledger,
    roll: createDice(seed + 77),
    canSend: (node) => world.canSend(node),
    onUnexpected: (what) => world.finding(what),
  });
  const kills = () => world.nodes.reduce((sum, node) => sum + node.deaths, 0);
  let stage = 'setting up';
  const progress = setInterval(() => {
    const ended = ledger.asked.filter(({ told }) => told === 'succeeded').length;
    onProgress(
      `chaos: ${seconds()} s, ${stage}; ${faults.total} faults, ${kills()} kills, ${ledger.asked.length} payments asked, ${ended} succeeded, ${world.findings.length} findings`,
    );
  }, progressMs);
  const verdict = {
    payments: undefined as ReturnType<typeof auditPayments> | undefined,
    balances: undefined as ReturnType<typeof auditChannels> | undefined,
    feesSat: 0n,
  };
  const violations: string[] = [];
  try {
    await world.begin();
    const startSat = world.states.reduce((sum, state) => sum + (state?.onchain.confirmedSat ?? 0n), 0n);
    const startBooks = await booksOf(world);
    const { chain } = world.regtest;
    const first = new ChainBooks(chain, ownersOf(startBooks));
    // All that the nodes had before they put it into channels.
    const fundedSat = [...world.registry.channels.values()].reduce(
      (sum, { fundingSat, fundingTxidHex }) => sum + (first.isConfirmed(fundingTxidHex) ? fundingSat : 0n),
      0n,
    );
    const allSat = startSat + fundedSat + first.feesSat;
    world.note('faults begin');
    stage = 'making faults';
    traffic.start(options.paymentsPerSecond ?? 5);
    faults.start(planFaults({ seed, minutes, nodes: world.nodes.length, wires: world.links.length }));
    await maintain(world, minutes * 60_000);
    stage = 'calming down';
    world.note('faults end');
    await faults.calm();
    await calmDown(world, traffic);
    stage = 'comparing books';
    const books = await booksOf(world);
    verdict.payments = auditPayments({
      asked: ledger.asked,
      books,
      forcedCloses: (faults.made.get('force_close') ?? 0) > 0,
    });
    const { lost, doubled, stuck, contradicted } = verdict.payments;
    violations.push(...lost, ...doubled, ...stuck, ...contradicted);
    const channels = () => world.registry.channels.values();
    verdict.balances = auditChannels({
      books,
      channels: channels(),
      chain: new ChainBooks(chain, ownersOf(books)),
      notReceivedMsat: verdict.payments.notReceivedMsat,
    });
    violations.push(...verdict.balances.wrong.map((what) => `before closing: ${what}`));
    stage = 'closing channels';
    await closeAll(world);
    const lastBooks = await booksOf(world);
    const lastChain = new ChainBooks(chain, ownersOf(lastBooks));
    const after = auditChannels({
      books: lastBooks,
      channels: channels(),
      chain: lastChain,
      notReceivedMsat: verdict.payments.notReceivedMsat,
    });
    violations.push(...after.wrong.map((what) => `after closing: ${what}`));
    const wallets = auditWallets({ books: lastBooks, chain: lastChain, startSat: allSat });
    violations.push(...wallets.wrong);
    verdict.feesSat = wallets.feesSat - world.chain.giftFeeSat;
    lastBooks.forEach(({ integrity }, node) => {
      for (const line of integrity) violations.push(`the database of node ${node}: ${line}`);
    });
  } catch (error) {
    violations.push(`${stage}: ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    clearInterval(progress);
    await faults.calm().catch(() => {});
    await world.stop();
  }
  violations.push(...world.findings);
  const errors = errorsIn(world.nodes.map((node) => join(folder, node.name, 'log')));
  for (const [message, count] of Object.entries(errors)) {
    if (message.includes('internal fault')) violations.push(`${count} times in the logs: ${message}`);
  }
  const peakRssMb = world.nodes.map((node) => Math.round(node.peakRssBytes / 1e6));
  peakRssMb.forEach((rss, node) => {
    if (rss > maxRssMb) violations.push(`node ${node} grew to ${rss} MB`);
  });
  const own = process.cpuUsage(cpuBefore);
  const ok = violations.length === 0;
  const keep = options.keep === true || !ok;
  for (const violation of violations) world.note(`VIOLATION ${violation}`);
  if (!keep) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const { payments, balances } = verdict;
  const counts = {
    asked: payments?.asked ?? ledger.asked.length,
    succeeded: payments?.succeeded ?? 0,
    lost: payments?.lost.length ?? 0,
    doubled: payments?.doubled.length ?? 0,
    stuck: payments?.stuck.length ?? 0,
    dustLost: payments?.dustLost.length ?? 0,
  };
  return {
    seed,
    minutes,
    ok,
    summary:
      `chaos: seed ${seed}, ${minutes} minutes, ${faults.total} faults, ${kills()} kills, ` +
      `${counts.asked} payments (${counts.succeeded} succeeded); ` +
      `balances ${balances !== undefined && ok ? 'agree' : balances?.wrong.length === 0 ? 'agree' : 'DO NOT agree'}; ` +
      `${counts.lost} lost, ${counts.doubled} doubled, ${counts.stuck} stuck`,
    violations,
    faults: Object.fromEntries(faults.made),
    payments: counts,
    channels: world.registry.channels.size,
    onchainFeesSat: verdict.feesSat.toString(),
    differencesMsat: balances?.differencesMsat.map(String) ?? [],
    tolerancesMsat: balances?.tolerancesMsat.map(String) ?? [],
    cpuSeconds: Math.round(world.nodes.reduce((sum, node) => sum + node.totalCpuMs, 0) / 1000),
    ownCpuSeconds: Math.round((own.user + own.system) / 1e6),
    wallSeconds: seconds(),
    peakRssMb,
    errors,
    ...(keep ? { folder } : {}),
  };
}

/** What an operator does: looks, dials again, opens channels where they were closed. */
async function maintain(world: ChaosWorld, forMs: number): Promise<void> {
  const end = performance.now() + forMs;
  let isOpening = false;
  for (let round = 0; performance.now() < end; round++) {
    await world.look();
    if (!isOpening) {
      isOpening = true;
      void world.openMissing().finally(() => {
        isOpening = false;
      });
    }
    if (round % 2 === 1) void world.connectAll();
    await new Promise((resolve) => setTimeout(resolve, Math.min(maintenanceMs, end - performance.now())));
  }
}

function booksOf(world: ChaosWorld): Promise<ChaosNodeBooks[]> {
  return Promise.all(world.nodes.map((node) => node.call((process) => process.call('books'))));
}

function ownersOf(books: readonly ChaosNodeBooks[]): Map<string, number> {
  return new Map(books.flatMap(({ walletScripts }, node) => walletScripts.map((script) => [script, node])));
}

/** pino's level of errors. */
const errorLevel = 50;

function errorsIn(paths: readonly string[]): Record<string, number> {
  const errors: Record<string, number> = {};
  for (const path of paths) {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      // A process that was killed leaves the beginning of a line.
      if (!line.endsWith('}')) continue;
      try {
        const { level, msg } = JSON.parse(line) as { level?: number | string; msg?: string };
        const isError = typeof level === 'number' ? level >= errorLevel : level === 'error';
        if (isError) errors[msg ?? ''] = (errors[msg ?? ''] ?? 0) + 1;
      } catch {
        // Two lives' lines in one.
      }
    }
  }
  return errors;
}
