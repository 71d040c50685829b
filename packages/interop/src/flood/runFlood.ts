import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { hexToBytes } from '@rivulet/core/bytes';
import { AuditLog, verifyAudit } from '@rivulet/keysend/compliance';
import { openToolkit } from '@rivulet/keysend/sqlite';
import { openStorage } from '@rivulet/storage';
import { CommandWorld, type NodeProcess } from '../keysend/commandWorld.js';
import { type HostileKind, hostileKinds, hostilePayment, signedBoost } from './hostilePayments.js';
import { persist } from './persist.js';

export interface FloodOptions {
  /** Payments of those who mean no good, all together. */
  readonly hostile: number;
  /** Payments of the honest one, spread evenly over those. */
  readonly honest: number;
  /** How many each hostile sender has under way at once. */
  readonly inFlight: number;
  readonly onProgress?: (text: string) => void;
}

/** What came of it. */
export interface FloodResult {
  readonly hostile: number;
  readonly honest: number;
  readonly inFlight: number;
  readonly seconds: number;
  readonly honestSettled: number;
  /** How many hostile payments were concluded while an honest one was under way: the most, and in the middle. */
  readonly concludedMeanwhile: { readonly most: number; readonly median: number };
  readonly hostileByOutcome: Readonly<Record<string, number>>;
  /** The rate that the policy gives each channel: the most that is let in of it. */
  readonly channelRate: number;
  readonly statistics: { readonly accepted: number; readonly held: number; readonly refused: number };
  readonly refusedBy: Readonly<Record<string, number>>;
  readonly heldAtOnce: { readonly most: number; readonly allowed: number };
  readonly pendingHtlcsAfter: number;
  /** Of the receiver, in megabytes. */
  readonly rssMb: { readonly before: number; readonly half: number; readonly after: number };
  /** What the receiver keeps, after it was stopped. */
  readonly kept: {
    readonly payments: number;
    readonly refusedHashes: number;
    readonly heldRows: number;
    readonly toolkitPayments: number;
    readonly toolkitEntries: number;
    readonly auditEntries: number;
    readonly auditIntact: boolean;
    readonly policyStateBytes: number;
    readonly toolkitBytes: number;
    readonly databaseBytes: number;
  };
}

const perChannelHeld = 5;

/** Two hostile senders and an honest one, each with a channel and a process of its own, and one receiver. */
export async function runFlood(options: FloodOptions): Promise<FloodResult> {
  const { hostile, honest, onProgress = () => {} } = options;
  const world = await CommandWorld.create();
  try {
    const receiver = await world.node('receiver');
    const senders: NodeProcess[] = [];
    for (const name of ['mallory', 'mallet', 'honest']) {
      const sender = await world.node(name);
      await world.openChannel(sender, receiver, 1_000_000n);
      senders.push(sender);
    }
    const [first, second, good] = senders as [NodeProcess, NodeProcess, NodeProcess];
    // Less than the polite ones among the hostile need, and all that the honest one needs.
    const channelRate = honest + 5;
    await receiver.client.setKeysendPolicy({ policy: policyOf(channelRate) });
    onProgress(`${hostile} hostile payments over two channels, ${honest} honest ones over a third`);
    const flood = new Flood({ receiver, good, hostile: [first, second], options });
    const result = await flood.run();
    const pendingHtlcsAfter = await letGo(receiver, senders);
    const { statistics } = await receiver.client.keysendPolicy();
    const rss = { ...result.rssMb, after: rssMb(receiver) };
    await receiver.end('SIGTERM');
    const { accepted, held, refused, refusedBy } = statistics;
    const { refusedHashes, ...found } = result;
    return {
      hostile,
      honest,
      inFlight: options.inFlight,
      ...found,
      channelRate,
      statistics: { accepted, held, refused },
      refusedBy,
      pendingHtlcsAfter,
      rssMb: rss,
      kept: lookInto(receiver.dataDir, refusedHashes),
    };
  } finally {
    await world.close();
  }
}

function policyOf(channelRate: number): Record<string, unknown> {
  return {
    version: 1,
    minimumMsat: '10000',
    channelRate: { payments: channelRate, perSeconds: 86_400 },
    message: { maxLength: 200, links: 'refuse', refuseWords: ['casino*'] },
    signature: 'required',
    hold: { seconds: 3_600, aboveMsat: '1000000', maximum: 20, maximumPerChannel: perChannelHeld },
  };
}

class Flood {
  readonly #receiver: NodeProcess;
  readonly #good: NodeProcess;
  readonly #hostile: readonly NodeProcess[];
  readonly #options: FloodOptions;
  readonly #outcomes = new Map<string, number>();
  readonly #refusedHashes: string[] = [];
  readonly #waiting = new Set<{ readonly at: number; readonly go: () => void }>();
  #begun = 0;
  #concluded = 0;
  #mostHeld = 0;
  #halfMb = 0;

  constructor(given: {
    receiver: NodeProcess;
    good: NodeProcess;
    hostile: readonly NodeProcess[];
    options: FloodOptions;
  }) {
    this.#receiver = given.receiver;
    this.#good = given.good;
    this.#hostile = given.hostile;
    this.#options = given.options;
  }

  async run() {
    const { inFlight } = this.#options;
    const before = rssMb(this.#receiver);
    const beganMs = performance.now();
    const workers = this.#hostile.flatMap((sender) =>
      Array.from({ length: inFlight }, () => this.#push(sender)),
    );
    const meanwhile = await this.#payHonestly();
    await Promise.all(workers);
    const seconds = (performance.now() - beganMs) / 1_000;
    await this.#countHeld();
    const ascending = meanwhile.toSorted((a, b) => a - b);
    return {
      seconds,
      honestSettled: meanwhile.length,
      concludedMeanwhile: {
        most: ascending.at(-1) ?? 0,
        median: ascending[Math.floor(ascending.length / 2)] ?? 0,
      },
      hostileByOutcome: Object.fromEntries(this.#outcomes),
      heldAtOnce: { most: this.#mostHeld, allowed: perChannelHeld * this.#hostile.length },
      refusedHashes: this.#refusedHashes,
      rssMb: { before, half: this.#halfMb, after: 0 },
    };
  }

  /** Pushes one payment after the other until all were begun. */
  async #push(from: NodeProcess): Promise<void> {
    const { hostile } = this.#options;
    const recipient = this.#receiver.nodeId;
    for (;;) {
      const n = this.#begun++;
      if (n >= hostile) return;
      const kind = hostileKinds[n % hostileKinds.length] as HostileKind;
      const { paymentHash, ...payment } = await hostilePayment(from, { kind, recipient, n });
      const waitSeconds = kind === 'large, to be held' ? 2 : 120;
      // The same preimage is the same payment, however often it is asked for.
      const request = { ...payment, nodeId: recipient, waitSeconds };
      const outcome = await persist(() => from.client.keysend(request)).then(
        ({ status }) => status as string,
        (error: { code?: string }) => error.code ?? String(error),
      );
      if (outcome === 'refused_by_destination') this.#refusedHashes.push(paymentHash);
      const name = `${kind}: ${outcome}`;
      this.#outcomes.set(name, (this.#outcomes.get(name) ?? 0) + 1);
      await this.#conclude();
    }
  }

  async #conclude(): Promise<void> {
    const { hostile, onProgress = () => {} } = this.#options;
    const concluded = ++this.#concluded;
    for (const waiting of [...this.#waiting]) {
      if (waiting.at > concluded) continue;
      this.#waiting.delete(waiting);
      waiting.go();
    }
    if (concluded === Math.floor(hostile / 2)) this.#halfMb = rssMb(this.#receiver);
    if (concluded % 250 !== 0) return;
    await this.#countHeld();
    if (concluded % 1_000 === 0) onProgress(`${concluded} of ${hostile} concluded`);
  }

  async #countHeld(): Promise<void> {
    const { keysends } = await persist(() => this.#receiver.client.heldKeysends());
    this.#mostHeld = Math.max(this.#mostHeld, keysends.length);
  }

  /** @returns for each, how many hostile payments were concluded while it was under way. */
  async #payHonestly(): Promise<number[]> {
    const { honest, hostile } = this.#options;
    const recipient = this.#receiver.nodeId;
    const meanwhile: number[] = [];
    for (let n = 0; n < honest; n++) {
      await this.#until(Math.floor((hostile * n) / honest));
      const message = `thank you, number ${n}`;
      const { paymentHash: _, ...payment } = await signedBoost(this.#good, {
        recipient,
        amountMsat: 100_000n,
        message,
      });
      const before = this.#concluded;
      const request = { ...payment, nodeId: recipient, waitSeconds: 120 };
      const { status } = await persist(() => this.#good.client.keysend(request));
      if (status === 'succeeded') meanwhile.push(this.#concluded - before);
    }
    return meanwhile;
  }

  #until(at: number): Promise<void> {
    if (this.#concluded >= at) return Promise.resolve();
    return new Promise((go) => this.#waiting.add({ at, go }));
  }
}

/** Sends back what is held. @returns how many HTLCs are left in any channel when no more go. */
async function letGo(receiver: NodeProcess, senders: readonly NodeProcess[]): Promise<number> {
  const { keysends } = await receiver.client.heldKeysends();
  for (const { paymentHash } of keysends) await receiver.client.decideKeysend({ paymentHash, accept: false });
  const pendingOf = async ({ client }: NodeProcess): Promise<number> => {
    const { channels } = await client.channels();
    return channels.reduce((sum, { pendingHtlcs }) => sum + pendingHtlcs, 0);
  };
  const end = performance.now() + 30_000;
  for (;;) {
    const counts = await Promise.all([receiver, ...senders].map(pendingOf));
    const pending = counts.reduce((sum, count) => sum + count, 0);
    if (pending === 0 || performance.now() > end) return pending;
  }
}

function lookInto(dataDir: string, refused: readonly string[]): FloodResult['kept'] {
  const storage = openStorage({ path: join(dataDir, 'rivulet.db') });
  const toolkit = openToolkit({ path: join(dataDir, 'toolkit.sqlite') });
  try {
    const { store, boosts } = toolkit;
    let payments = 0;
    let after: number | undefined;
    for (;;) {
      const page = storage.listPayments({
        direction: 'incoming',
        limit: 1_000,
        ...(after === undefined ? {} : { before: after }),
      });
      payments += page.payments.length;
      after = page.payments.at(-1)?.sequence;
      if (page.payments.length < 1_000) break;
    }
    return {
      payments,
      refusedHashes: refused.filter((hash) => storage.hasSeenHash(hexToBytes(hash))).length,
      heldRows: storage.listValues('held-keysend/').length,
      toolkitPayments: boosts.arrivals(0, 1_000).length,
      toolkitEntries: store.list({ prefix: '' }).length,
      auditEntries: [...new AuditLog({ store }).records()].length,
      auditIntact: verifyAudit(store).status === 'intact',
      policyStateBytes: store.get('receive-policy-state')?.length ?? 0,
      toolkitBytes: statSync(join(dataDir, 'toolkit.sqlite')).size,
      databaseBytes: statSync(join(dataDir, 'rivulet.db')).size,
    };
  } finally {
    toolkit.close();
    storage.close();
  }
}

function rssMb({ pid }: NodeProcess): number {
  const kilobytes = execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return Math.round(Number(kilobytes.trim()) / 1_000);
}

/** What is not as it has to be. */
export function floodProblems(result: FloodResult): string[] {
  const { honest, honestSettled, concludedMeanwhile, inFlight, hostile, statistics, kept, channelRate } =
    result;
  const { heldAtOnce, pendingHtlcsAfter, rssMb: rss, hostileByOutcome } = result;
  const hostileTaken = statistics.accepted - honest;
  const expected = new Set(['refused_by_destination', 'succeeded', 'pending']);
  const strange = Object.keys(hostileByOutcome).filter((name) => !expected.has(name.split(': ')[1] ?? ''));
  const checks: readonly (readonly [boolean, string])[] = [
    [honestSettled === honest, `${honest - honestSettled} honest payments were not settled`],
    [
      // Those that were under way before it, and those that came while it waited for them, and some more.
      concludedMeanwhile.most <= 2 * inFlight * 4,
      `an honest payment waited for ${concludedMeanwhile.most} hostile ones`,
    ],
    [strange.length === 0, `hostile payments ended as ${strange.join(', ')}`],
    [statistics.refused >= hostile - 2 * channelRate, `only ${statistics.refused} were refused`],
    [hostileTaken >= 0 && hostileTaken <= 2 * channelRate, `${hostileTaken} hostile ones were taken`],
    [heldAtOnce.most > 0 && heldAtOnce.most <= heldAtOnce.allowed, `${heldAtOnce.most} were held at once`],
    [pendingHtlcsAfter === 0, `${pendingHtlcsAfter} HTLCs are left in the channels`],
    [kept.payments === statistics.accepted, `the list has ${kept.payments} payments`],
    [kept.toolkitPayments === statistics.accepted, `the toolkit has ${kept.toolkitPayments} payments`],
    [kept.refusedHashes === 0, `the hashes of ${kept.refusedHashes} refused payments are kept`],
    [kept.heldRows === 0, `${kept.heldRows} rows of held payments are left`],
    // One for each that was taken, two for each that was held, the policy's, and the sums of a few minutes.
    [
      kept.auditEntries <= statistics.accepted + 2 * statistics.held + 100,
      `the audit log has ${kept.auditEntries} entries`,
    ],
    [kept.auditIntact, 'the audit log is damaged'],
    [
      kept.policyStateBytes < 400 * (statistics.accepted + 100),
      `the policy keeps ${kept.policyStateBytes} bytes`,
    ],
    [rss.after - rss.before < 200, `the receiver grew by ${rss.after - rss.before} MB`],
  ];
  return checks.flatMap(([holds, problem]) => (holds ? [] : [problem]));
}
