import type { PolicyVerdict } from './incomingKeysend.js';

/** A payment that was let in or held, for as long as it may come again. Plain JSON. */
export interface JudgedHash {
  readonly paymentHash: string;
  readonly amountMsat: string;
  readonly channelId: string;
  readonly verdict: Exclude<PolicyVerdict, { action: 'refuse' }>;
  readonly atMs: number;
}

/**
 * What was let in a short while ago, so that the same payment told again (after a restart, or as more parts) is not
 * counted again; and what is held now. The oldest are forgotten first, but for those that are held.
 */
export class JudgedHashes {
  readonly #limit: number;
  readonly #keepMs: number;
  readonly #judged = new Map<string, JudgedHash>();
  readonly #held = new Map<string, JudgedHash>();

  constructor(limits: { limit: number; keepMs: number }, judged: readonly JudgedHash[] = []) {
    this.#limit = limits.limit;
    this.#keepMs = limits.keepMs;
    for (const each of judged) this.add(each);
  }

  find(payment: { paymentHash: string; amountMsat: bigint; nowMs: number }): JudgedHash | undefined {
    const { paymentHash, amountMsat, nowMs } = payment;
    const found = this.#held.get(paymentHash) ?? this.#judged.get(paymentHash);
    if (found === undefined || isOver(found, nowMs, this.#keepMs)) return undefined;
    return found.amountMsat === amountMsat.toString() ? found : undefined;
  }

  add(judged: JudgedHash): void {
    const { paymentHash, verdict } = judged;
    if (verdict.action === 'hold') {
      this.#held.set(paymentHash, judged);
      return;
    }
    this.#judged.delete(paymentHash);
    this.#judged.set(paymentHash, judged);
    for (const oldest of this.#judged.keys()) {
      if (this.#judged.size <= this.#limit) break;
      this.#judged.delete(oldest);
    }
  }

  /** Held payments whose time is not over: of all channels, and of this one. */
  held(channelId: string, nowMs: number): { all: number; ofChannel: number } {
    let ofChannel = 0;
    for (const [paymentHash, held] of this.#held) {
      if (isOver(held, nowMs, this.#keepMs)) this.#held.delete(paymentHash);
      else if (held.channelId === channelId) ofChannel++;
    }
    return { all: this.#held.size, ofChannel };
  }

  /** Somebody has decided: it holds no place any more. */
  decided(paymentHash: string, action: 'accept' | 'refuse'): void {
    const held = this.#held.get(paymentHash);
    if (held === undefined) return;
    this.#held.delete(paymentHash);
    if (action === 'accept') this.add({ ...held, verdict: { action: 'accept' } });
  }

  list(): JudgedHash[] {
    return [...this.#judged.values(), ...this.#held.values()];
  }
}

function isOver({ verdict, atMs }: JudgedHash, nowMs: number, keepMs: number): boolean {
  return nowMs >= (verdict.action === 'hold' ? verdict.untilMs : atMs + keepMs);
}
