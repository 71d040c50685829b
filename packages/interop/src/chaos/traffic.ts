import { RivuletError } from '@rivulet/core/bytes';
import type { Payment } from '@rivulet/sdk';
import type { ChaosNode } from './chaosNode.js';
import type { AskedPayment, PaymentLedger } from './paymentLedger.js';

type Dice = (sides: number) => number;

/** So many payments are asked for and not answered at once, at most. */
const maxUnanswered = 24;
const waitSeconds = 15;
/** A payment whose node did not answer so often is left to the calm. */
const maxAttempts = 30;

/** What says nothing of whether the payment was begun: the node died, or stops, or its disk failed. */
const silentCodes: ReadonlySet<string> = new Set([
  'ldk_process',
  'ldk_not_running',
  'io',
  'not_stored',
  'outcome_unknown',
]);

/** The users of all nodes: they pay one another all the time, and ask again when their node did not answer. */
export class Traffic {
  readonly #nodes: readonly ChaosNode[];
  readonly #ledger: PaymentLedger;
  readonly #roll: Dice;
  readonly #canSend: (node: number) => boolean;
  readonly #onUnexpected: (what: string) => void;
  readonly #tasks = new Set<Promise<void>>();
  #number = 0;
  #on = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(given: {
    nodes: readonly ChaosNode[];
    ledger: PaymentLedger;
    roll: Dice;
    /** Whom nobody can pay with is asked seldom. */
    canSend: (node: number) => boolean;
    onUnexpected: (what: string) => void;
  }) {
    this.#nodes = given.nodes;
    this.#ledger = given.ledger;
    this.#roll = given.roll;
    this.#canSend = given.canSend;
    this.#onUnexpected = given.onUnexpected;
  }

  /** @param perSecond on average. */
  start(perSecond: number): void {
    this.#on = true;
    const next = (): void => {
      if (!this.#on) return;
      if (this.#tasks.size < maxUnanswered) this.#track(this.#one());
      this.#timer = setTimeout(next, (1_000 / perSecond) * (0.5 + this.#roll(1_000) / 1_000));
    };
    next();
  }

  /** No new payments; resolves when all that were asked for have an answer, or their node is gone for good. */
  async stop(): Promise<void> {
    this.#on = false;
    clearTimeout(this.#timer);
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  #track(task: Promise<void>): void {
    const tracked = task
      .catch((error: unknown) => this.#onUnexpected(`traffic: ${String(error)}`))
      .finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
  }

  /** Asks again for all that was never answered. */
  async askAgain(): Promise<void> {
    for (const entry of this.#ledger.asked) {
      if (entry.told !== 'nothing') continue;
      entry.attempts = 0;
      this.#track(this.#pay(entry));
    }
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  /** Ends all hold invoices that are still open. */
  async endHolds(): Promise<void> {
    for (const entry of this.#ledger.asked) if (entry.kind === 'hold') await this.#endHold(entry);
  }

  async #one(): Promise<void> {
    const roll = this.#roll;
    const from = roll(this.#nodes.length);
    if (!this.#canSend(from) && roll(10) > 0) return;
    const to = (from + 1 + roll(this.#nodes.length - 1)) % this.#nodes.length;
    const key = `chaos-${this.#number++}`;
    const kind = roll(10);
    const amountMsat = this.#amount();
    const holdMs = roll(20_000);
    if (kind < 5) return this.#pay(this.#ledger.ask({ key, from, to, kind: 'keysend', amountMsat }));
    const hold = kind === 9;
    const receiver = this.#nodes[to] as ChaosNode;
    // Where there is no invoice nobody has asked for anything.
    const made = await receiver
      .call(({ api }) => api.createInvoice({ amountMsat, expirySeconds: 86_400 * 30, hold }))
      .catch(() => undefined);
    if (made === undefined) return;
    const { invoice, paymentHash } = made;
    const entry = this.#ledger.ask({
      key,
      from,
      to,
      kind: hold ? 'hold' : 'invoice',
      amountMsat,
      invoice,
      paymentHash,
      ...(hold ? { hold: 'open' } : {}),
    });
    if (hold) this.#track(this.#holdFor(entry, holdMs));
    return this.#pay(entry);
  }

  /** From a millisatoshi over dust to what takes several parts. */
  #amount(): bigint {
    const roll = this.#roll;
    switch (roll(8)) {
      case 0:
        return BigInt(1 + roll(400_000));
      case 1:
        return BigInt(100_000_000 + roll(600_000_000));
      case 2:
        return BigInt(10_000_000 + roll(90_000_000));
      default:
        return BigInt(400_000 + roll(10_000_000));
    }
  }

  async #pay(entry: AskedPayment): Promise<void> {
    const { key, from, to, amountMsat, invoice } = entry;
    const sender = this.#nodes[from] as ChaosNode;
    const nodeId = (this.#nodes[to] as ChaosNode).nodeId;
    while (entry.attempts++ < maxAttempts) {
      try {
        await sender.up();
        const payment = await sender.call(({ api }) =>
          invoice === undefined
            ? api.keysend({ nodeId, amountMsat, idempotencyKey: key, waitSeconds })
            : api.pay({ invoice, waitSeconds }),
        );
        this.#answered(entry, payment);
        return;
      } catch (error) {
        const code = error instanceof RivuletError ? error.code : '';
        const reason = `${code}: ${error instanceof Error ? error.message : String(error)}`;
        const isSilent = silentCodes.has(code) && !reason.includes('no room');
        if (!isSilent || sender.isGone) {
          this.#ledger.told(entry, { told: isSilent ? 'nothing' : 'refused', reason });
          return;
        }
        this.#ledger.note(`no answer (${code})`, entry);
      }
    }
  }

  #answered(entry: AskedPayment, { status, paymentHash, failure }: Payment): void {
    this.#ledger.told(entry, {
      told: status,
      paymentHash,
      ...(failure === undefined ? {} : { reason: `${failure.code}: ${failure.message}` }),
    });
  }

  /** The owner of a hold invoice makes up his mind, sooner or later. */
  async #holdFor(entry: AskedPayment, holdMs: number): Promise<void> {
    const owner = this.#nodes[entry.to] as ChaosNode;
    if (!(await owner.held(entry.paymentHash as string, 20_000))) return;
    if (entry.hold === 'open') entry.hold = 'held';
    await new Promise((resolve) => setTimeout(resolve, holdMs));
    await this.#endHold(entry);
  }

  async #endHold(entry: AskedPayment): Promise<void> {
    if (entry.hold === 'settled' || entry.hold === 'cancelled') return;
    const owner = this.#nodes[entry.to] as ChaosNode;
    const paymentHash = entry.paymentHash as string;
    // Once it was asked for, it stays so: an unanswered wish is repeated.
    const settle = entry.hold === 'settle_asked' || (entry.hold === 'held' && this.#roll(3) > 0);
    entry.hold = settle ? 'settle_asked' : 'cancel_asked';
    this.#ledger.note(entry.hold, entry);
    await owner.up();
    try {
      await owner.call(({ api }) =>
        settle ? api.settleInvoice({ paymentHash }) : api.cancelInvoice({ paymentHash }),
      );
      entry.hold = settle ? 'settled' : 'cancelled';
    } catch (error) {
      // The calm asks again; what is said of the state then is the truth.
      const reason = error instanceof Error ? error.message : String(error);
      this.#ledger.note(`${entry.hold}: ${reason}`, entry);
      const { invoices } = await owner
        .call(({ api }) => api.invoices({ paymentHash }))
        .catch(() => ({ invoices: [] }));
      const state = invoices[0]?.state;
      if (state === 'settled' || state === 'cancelled') entry.hold = state;
    }
    this.#ledger.note(entry.hold, entry);
  }
}
