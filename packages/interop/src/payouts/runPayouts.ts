import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesToUtf8 } from '@rivulet/core/bytes';
import { readPayout } from '@rivulet/keysend/automation';
import { openToolkit } from '@rivulet/keysend/sqlite';
import type { Payment } from '@rivulet/sdk';
import { CommandWorld, type NodeProcess } from '../keysend/commandWorld.js';

export interface PayoutsRequest {
  readonly count: number;
  /** How often the command is killed on the way. */
  readonly kills: number;
  /** How often the daemon that pays is. */
  readonly daemonKills: number;
  /** Every so manieth line is there twice. */
  readonly duplicateEvery: number;
  readonly concurrency: number;
  readonly onProgress?: (text: string) => void;
}

export interface PayoutsResult {
  readonly count: number;
  readonly duplicateLines: number;
  readonly kills: number;
  readonly daemonKills: number;
  /** From the first command to the end of the last one, starts and everything. */
  readonly seconds: number;
  readonly perSecond: number;
  /** The same without the time from each start of the command to the first payment that it made. */
  readonly perSecondPaying: number;
  /** Keys in what the recipient got, and how many of them more than once. */
  readonly keysReceived: number;
  readonly keysTwice: number;
  readonly keysUnknown: number;
  readonly plannedMsat: bigint;
  readonly receivedMsat: bigint;
  /** What the sender's node says that it has paid, fees included. */
  readonly sentMsat: bigint;
  /** What the ledger says. */
  readonly ledgerMsat: bigint;
  readonly ledgerPaid: number;
}

/** Says which line of the file a payment is: odd, and nobody else's. */
const keyRecord = 7_700_001n;

/** How often the progress is looked at, to kill at the right moment. */
const lookMs = 20;
const name = 'bench';

/**
 * Pays a file with `rivulet payout`, from one daemon to another, and kills the command, and the daemon that pays,
 * again and again on the way. Then compares what arrived with what was meant.
 */
export async function runPayouts(request: PayoutsRequest): Promise<PayoutsResult> {
  const { count, kills, daemonKills, onProgress = () => {} } = request;
  const world = await CommandWorld.create();
  try {
    const payer = await world.node('payer');
    const recipient = await world.node('recipient');
    const { text, keys, duplicateLines, plannedMsat } = payoutFile(request, recipient.nodeId);
    const capacitySat = (plannedMsat / 1000n) * 2n + 1_000_000n;
    await world.openChannel(payer, recipient, capacitySat);
    const file = join(world.folder, 'payout.csv');
    writeFileSync(file, text);
    onProgress(
      `a channel of ${capacitySat} sat is open; ${count} payments and ${duplicateLines} repeated lines`,
    );

    const startedMs = performance.now();
    const total = kills + daemonKills;
    let payingSeconds = 0;
    for (let round = 0; round <= total; round++) {
      const command = world.rivulet(payer, [
        ...['payout', file, '--name', name, '--yes', '--json'],
        ...['--concurrency', String(request.concurrency)],
      ]);
      if (round === total) {
        payingSeconds += (await untilPaid(payer, count, command.exited)).payingSeconds;
        const { code } = await command.exited;
        if (code !== 0) throw new Error(`the last command ended with ${code}: ${command.printed.err}`);
        break;
      }
      const wanted = Math.floor((count * (round + 1)) / (total + 1));
      const { paid, payingSeconds: inRound } = await untilPaid(payer, wanted, command.exited);
      payingSeconds += inRound;
      // The kills of the daemon in between those of the command.
      const killsDaemon = daemonKills > 0 && round % Math.ceil(total / daemonKills) === 0;
      if (killsDaemon) await payer.end('SIGKILL');
      command.child.kill('SIGKILL');
      await command.exited;
      if (killsDaemon) {
        await payer.start();
        await usable(payer);
      }
      onProgress(
        `killed ${killsDaemon ? 'the daemon and the command' : 'the command'} after ${paid} payments`,
      );
    }
    const seconds = (performance.now() - startedMs) / 1000;
    return {
      ...(await compare({ payer, recipient, keys })),
      ...{ count, duplicateLines, kills, daemonKills },
      seconds,
      perSecond: count / seconds,
      perSecondPaying: count / payingSeconds,
      plannedMsat,
    };
  } finally {
    await world.close();
  }
}

function payoutFile({ count, duplicateEvery }: PayoutsRequest, nodeId: string) {
  const lines = ['key,recipient,amount_msat,custom_key,custom_value'];
  const keys = new Set<string>();
  let plannedMsat = 0n;
  let duplicateLines = 0;
  for (let i = 0; i < count; i++) {
    const key = `payee-${i}`;
    // Above dust, and no amount like another.
    const amountMsat = 1_000_000n + BigInt(i);
    const line = `${key},${nodeId},${amountMsat},${keyRecord},${key}`;
    lines.push(line);
    keys.add(key);
    plannedMsat += amountMsat;
    if (i % duplicateEvery === 0) {
      lines.push(line);
      duplicateLines++;
    }
  }
  return { text: `${lines.join('\n')}\n`, keys, plannedMsat, duplicateLines };
}

/** Looks into the ledger of the command from outside. */
async function untilPaid(
  payer: NodeProcess,
  wanted: number,
  exited: Promise<unknown>,
): Promise<{ paid: number; payingSeconds: number }> {
  let isOver = false;
  void exited.then(() => {
    isOver = true;
  });
  const toolkit = openToolkit({ path: join(payer.dataDir, 'toolkit.sqlite') });
  try {
    const before = paidOf(toolkit.store);
    let firstMs: number | undefined;
    for (;;) {
      const paid = paidOf(toolkit.store);
      const nowMs = performance.now();
      if (paid > before) firstMs ??= nowMs;
      if (paid >= wanted || isOver) return { paid, payingSeconds: (nowMs - (firstMs ?? nowMs)) / 1000 };
      await sleep(lookMs);
    }
  } finally {
    toolkit.close();
  }
}

function paidOf(store: Parameters<typeof readPayout>[0]): number {
  if (store.get(`payout/${name}`) === undefined) return 0;
  return readPayout(store, name).summary.states.succeeded.legs;
}

async function usable(node: NodeProcess): Promise<void> {
  await node.until(async (client) => (await client.channels()).channels.every((channel) => channel.usable));
}

async function compare(given: { payer: NodeProcess; recipient: NodeProcess; keys: ReadonlySet<string> }) {
  const { payer, recipient, keys } = given;
  const received = (await recipient.payments()).filter(isDone('incoming'));
  const times = new Map<string, number>();
  for (const { records } of received) {
    const bytes = records.get(keyRecord);
    const key = (bytes === undefined ? undefined : bytesToUtf8(bytes)) ?? '';
    times.set(key, (times.get(key) ?? 0) + 1);
  }
  const sent = (await payer.payments()).filter(isDone('outgoing'));
  const toolkit = openToolkit({ path: join(payer.dataDir, 'toolkit.sqlite') });
  const { succeeded } = readPayout(toolkit.store, name).summary.states;
  toolkit.close();
  return {
    keysReceived: [...keys].filter((key) => times.has(key)).length,
    keysTwice: [...times.values()].filter((number) => number > 1).length,
    keysUnknown: [...times.keys()].filter((key) => !keys.has(key)).length,
    receivedMsat: received.reduce((sum, { amountMsat }) => sum + amountMsat, 0n),
    sentMsat: sent.reduce((sum, { amountMsat, feeMsat }) => sum + amountMsat + feeMsat, 0n),
    ledgerMsat: succeeded.amountMsat,
    ledgerPaid: succeeded.legs,
  };
}

function isDone(direction: Payment['direction']) {
  return (payment: Payment) => payment.direction === direction && payment.status === 'succeeded';
}

/** What is wrong; nothing where all is well. */
export function payoutsProblems(result: PayoutsResult): string[] {
  const { count, keysReceived, keysTwice, keysUnknown, plannedMsat } = result;
  const problems: string[] = [];
  if (keysReceived !== count) problems.push(`${count - keysReceived} keys were not paid`);
  if (keysTwice > 0) problems.push(`${keysTwice} keys were paid more than once`);
  if (keysUnknown > 0) problems.push(`${keysUnknown} payments are of no key`);
  if (result.ledgerPaid !== count) problems.push(`the ledger knows of ${result.ledgerPaid} payments`);
  for (const what of ['receivedMsat', 'sentMsat', 'ledgerMsat'] as const) {
    if (result[what] !== plannedMsat) problems.push(`${what} is ${result[what]}, not ${plannedMsat}`);
  }
  return problems;
}
