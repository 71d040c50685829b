import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import type {
  InvoiceRequest,
  KeysendRequest,
  PaymentOutcome,
  PaymentQuery,
  ReceivedPayment,
  SubscribeOptions,
  Wallet,
  WalletCapabilities,
} from '../wallet.js';

/** What the wallet does with a payment; `open` until `settle` is called. */
type Plan = 'pay' | 'open' | Extract<PaymentOutcome, { status: 'failed' }>;

/** A wallet in memory behind what serves wallets; it pays each hash once, as nodes do. */
export class ServedWallet implements Wallet {
  readonly kind = 'rivulet';
  readonly nodeId = `02${'aa'.repeat(32)}`;
  readonly keysends: KeysendRequest[] = [];
  readonly invoices: InvoiceRequest[] = [];
  readonly plans: Plan[] = [];
  readonly outcomes = new Map<string, PaymentOutcome>();
  feeMsat = 1_234n;
  can: Partial<WalletCapabilities> = {};
  /** How often something was paid for good. */
  paid = 0;
  /** The keysends among it. */
  readonly sent: KeysendRequest[] = [];
  readonly #open = new Map<string, KeysendRequest>();
  lookups = 0;
  readonly #received: ReceivedPayment[] = [];
  readonly #listeners = new Set<() => void>();

  async capabilities(): Promise<WalletCapabilities> {
    return {
      keysend: true,
      sendsRecords: true,
      repeats: 'preimage',
      receives: 'records',
      holds: false,
      signs: true,
      paysInvoices: true,
      takesHints: true,
      limitsFees: true,
      ...this.can,
    };
  }

  async info() {
    return {
      kind: this.kind,
      nodeId: this.nodeId,
      alias: 'served',
      network: 'regtest',
      version: '1',
    } as const;
  }

  async balance() {
    return { spendableMsat: 5_000_999n, receivableMsat: 7_000n };
  }

  async keysend(request: KeysendRequest): Promise<PaymentOutcome> {
    this.keysends.push(request);
    const id = bytesToHex(sha256(request.preimage));
    const paid = this.paid;
    const outcome = this.#pay(id, bytesToHex(request.preimage));
    if (this.paid > paid) this.sent.push(request);
    if (outcome.status === 'unknown') this.#open.set(id, request);
    return outcome;
  }

  async payInvoice(request: InvoiceRequest): Promise<PaymentOutcome> {
    this.invoices.push(request);
    return this.#pay(request.invoice, '11'.repeat(32));
  }

  #pay(id: string, preimage: string): PaymentOutcome {
    const earlier = this.outcomes.get(id);
    if (earlier !== undefined && earlier.status !== 'failed') return earlier;
    const plan = this.plans.shift() ?? 'pay';
    const outcome: PaymentOutcome =
      plan === 'pay'
        ? { status: 'succeeded', preimage, feeMsat: this.feeMsat }
        : plan === 'open'
          ? { status: 'unknown', message: 'nobody knows' }
          : plan;
    if (outcome.status === 'succeeded') this.paid++;
    this.outcomes.set(id, outcome);
    return outcome;
  }

  /** Decides what is open. */
  settle(outcome: PaymentOutcome | undefined): void {
    for (const [id, { status }] of this.outcomes) {
      if (status !== 'unknown') continue;
      if (outcome === undefined) this.outcomes.delete(id);
      else this.outcomes.set(id, outcome);
      if (outcome?.status !== 'succeeded') continue;
      this.paid++;
      const keysend = this.#open.get(id);
      if (keysend !== undefined) this.sent.push(keysend);
    }
  }

  async lookup({ paymentHash }: PaymentQuery): Promise<PaymentOutcome | undefined> {
    this.lookups++;
    return this.outcomes.get(paymentHash);
  }

  receive(payment: Omit<ReceivedPayment, 'cursor'>): void {
    this.#received.push({ ...payment, cursor: String(this.#received.length + 1) });
    for (const listener of [...this.#listeners]) listener();
  }

  async *subscribe({ after, signal }: SubscribeOptions): AsyncGenerator<ReceivedPayment, void> {
    for (let index = Number(after ?? 0); !signal.aborted; ) {
      const payment = this.#received[index];
      if (payment !== undefined) {
        index++;
        yield payment;
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#listeners.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#listeners.add(wake);
        signal.addEventListener('abort', wake);
      });
    }
  }

  async signMessage(): Promise<string> {
    return 'y'.repeat(104);
  }

  async close(): Promise<void> {}
}
