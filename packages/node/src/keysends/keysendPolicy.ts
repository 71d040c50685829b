import type { AuditSink, ToolkitStore } from '@rivulet/keysend';
import {
  type IncomingKeysend,
  type PolicySettings,
  type PolicyState,
  type PolicyStatistics,
  type PolicyVerdict,
  ReceivePolicy,
  readPolicySettings,
  readPolicyState,
} from '@rivulet/keysend/policy';
import { verifySenderProof } from '@rivulet/keysend/proof';
import { ServiceError } from '@rivulet/sdk';
import type { DecidedKeysend, KeysendPolicyPort, WaitingKeysend } from '../driver/index.js';
import type { Logger } from '../logging/index.js';
import { PolicyJournal, type PolicyJournalOptions } from './policyJournal.js';

const settingsKey = 'receive-policy';
const stateKey = 'receive-policy-state';

export interface KeysendPolicyOptions extends PolicyJournalOptions {
  /** Our node, 66 hex digits: what senders sign for. */
  readonly recipient: () => string;
}

/** Where settings and state are, and the log of changes. */
export interface PolicyStore {
  readonly store: ToolkitStore;
  readonly audit: AuditSink;
}

/** What lets everything in. */
const everything: PolicySettings = { version: 1 };

/** The rules that a `ReceivePolicy` does not have. */
const unreadable = 'policy_unreadable';
const failed = 'policy_failed';
const expired = 'hold_expired';
/** A fault that every payment meets is logged once in a minute. */
const faultEveryMs = 60_000;

type HeldState = PolicyState['judged'][number];

/**
 * Which keysends this node takes: settings that are stored, and judged by before anything is settled. In memory while
 * the node runs, so that a file that fails stops no payment; where settings cannot be read at the start nothing is
 * taken, as nobody knows what the owner would want. Judging never throws.
 */
export class KeysendPolicy implements KeysendPolicyPort {
  readonly #options: KeysendPolicyOptions;
  readonly #logger: Logger;
  readonly #journal: PolicyJournal;
  #stored: PolicyStore | undefined;
  #current: { readonly policy: ReceivePolicy; readonly settings: PolicySettings } | undefined;
  /** What policies before this one counted: those of settings that were changed since. */
  #countedBefore: PolicyStatistics = noStatistics;
  /** Refusals that are not the policy's. */
  readonly #ownRefusals = new Map<string, number>();
  /** Held before a restart, and to be counted as held. */
  #heldBefore: HeldState[] = [];
  #faultAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: KeysendPolicyOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#journal = new PolicyJournal(options);
  }

  /** Takes settings and state out of a store, and from here on writes to it. Never throws. */
  open(stored: PolicyStore): void {
    this.#stored = stored;
    this.#journal.bind(stored);
    // It was open before, and lost its file meanwhile: what is in memory is what holds.
    if (this.#current !== undefined) return;
    try {
      const text = stored.store.get(settingsKey);
      const settings = text === undefined ? everything : readPolicySettings(JSON.parse(text));
      this.#current = { settings, policy: this.#create(settings, this.#readState(stored.store)) };
    } catch (err) {
      this.#logger.error(
        { err },
        'the policy of keysends cannot be read: every keysend is refused until another one is set',
      );
    }
  }

  /** The store is gone for now. */
  detach(): void {
    this.#stored = undefined;
    this.#journal.bind(undefined);
  }

  #readState(store: ToolkitStore): PolicyState | undefined {
    try {
      const text = store.get(stateKey);
      return text === undefined ? undefined : readPolicyState(JSON.parse(text));
    } catch (err) {
      this.#logger.warn({ err }, 'what the policy of keysends remembered of rates is lost');
      return undefined;
    }
  }

  #create(settings: PolicySettings, state: PolicyState | undefined): ReceivePolicy {
    return new ReceivePolicy(settings, {
      verify: (payment) => {
        const verdict = verifySenderProof(payment);
        return verdict.status === 'valid'
          ? { status: 'valid', nodeId: verdict.nodeId }
          : { status: verdict.status };
      },
      ...(state === undefined ? {} : { state }),
    });
  }

  /** @throws ServiceError where there are none that can be read. */
  get settings(): PolicySettings {
    if (this.#current === undefined) {
      throw new ServiceError(
        'not_supported',
        'the policy of keysends cannot be read, and every keysend is refused: see the log, then set another one',
      );
    }
    return this.#current.settings;
  }

  /** Since the start, whatever the settings were. */
  get statistics(): PolicyStatistics {
    const own: Record<string, number> = Object.fromEntries(this.#ownRefusals);
    let refused = 0;
    for (const count of Object.values(own)) refused += count;
    const refusals = { ...noStatistics, refused, refusedBy: own };
    const counted = addStatistics(this.#countedBefore, refusals);
    return this.#current === undefined ? counted : addStatistics(counted, this.#current.policy.statistics());
  }

  /**
   * New settings, from now on.
   * @throws KeysendError `request_invalid`; ServiceError or StorageError where they cannot be stored: the old ones hold.
   */
  set(json: unknown, actor = 'user'): PolicySettings {
    const settings = readPolicySettings(json);
    const before = this.#current?.policy;
    const policy = this.#create(settings, before?.state());
    if (this.#stored === undefined) {
      throw new ServiceError(
        'not_supported',
        'the file of the toolkit cannot be used now, and the policy is stored there: see the log',
      );
    }
    const { store, audit } = this.#stored;
    store.transaction((tx) => {
      audit.append(tx, {
        type: 'rule_changed',
        atMs: this.#options.now(),
        actor,
        data: {
          name: 'receive policy',
          before: tx.get(settingsKey) ?? JSON.stringify(everything),
          after: JSON.stringify(settings),
        },
      });
      tx.put(settingsKey, JSON.stringify(settings));
    });
    this.#replace({ settings, policy });
    return settings;
  }

  #replace(next: { readonly policy: ReceivePolicy; readonly settings: PolicySettings }): void {
    const before = this.#current?.policy;
    if (before !== undefined) {
      this.#countedBefore = addStatistics(this.#countedBefore, before.statistics());
    }
    this.#current = next;
  }

  judge(payment: Omit<IncomingKeysend, 'recipient'>): PolicyVerdict {
    let verdict: PolicyVerdict;
    try {
      verdict = this.#judge(payment);
    } catch (err) {
      // The sender keeps its money: what cannot be judged is not taken, and a later one may be.
      this.#fault(err);
      verdict = this.#refuse(failed);
    }
    if (verdict.action === 'refuse') this.#journal.refused(verdict.rule, payment.amountMsat);
    return verdict;
  }

  #judge(payment: Omit<IncomingKeysend, 'recipient'>): PolicyVerdict {
    if (this.#current === undefined) return this.#refuse(unreadable);
    if (this.#heldBefore.length > 0) this.#countHeldBefore();
    return this.#current.policy.judge({ ...payment, recipient: this.#options.recipient() });
  }

  #refuse(rule: string): PolicyVerdict {
    this.#ownRefusals.set(rule, (this.#ownRefusals.get(rule) ?? 0) + 1);
    return { action: 'refuse', rule };
  }

  #fault(err: unknown): void {
    const nowMs = this.#options.now();
    if (nowMs - this.#faultAtMs < faultEveryMs) return;
    this.#faultAtMs = nowMs;
    this.#logger.error({ err }, 'the policy of keysends failed: the payment was refused');
  }

  /** Those that hold their places since before the start are not forgotten for the state of a crash. */
  #countHeldBefore(): void {
    if (this.#current === undefined) return;
    const { policy, settings } = this.#current;
    const state = policy.state();
    const known = new Set(state.judged.map(({ paymentHash }) => paymentHash));
    const added = this.#heldBefore.filter(({ paymentHash }) => !known.has(paymentHash));
    this.#heldBefore = [];
    if (added.length === 0) return;
    const next = this.#create(settings, { ...state, judged: [...state.judged, ...added] });
    this.#replace({ settings, policy: next });
  }

  waiting(keysend: WaitingKeysend, { isNew }: { readonly isNew: boolean }): void {
    const { rule, untilMs, heldAtMs, amountMsat } = keysend;
    const paymentHash = Buffer.from(keysend.paymentHash).toString('hex');
    if (isNew) {
      this.#journal.held({ paymentHash, amountMsat, rule });
      return;
    }
    this.#heldBefore.push({
      paymentHash,
      amountMsat: amountMsat.toString(),
      channelId: Buffer.from(keysend.channelId).toString('hex'),
      verdict: { action: 'hold', rule, untilMs },
      atMs: heldAtMs,
    });
  }

  decided({ paymentHash, amountMsat, rule, accept, byOwner }: DecidedKeysend): void {
    this.#heldBefore = this.#heldBefore.filter((one) => one.paymentHash !== paymentHash);
    this.#current?.policy.decided(paymentHash, accept ? 'accept' : 'refuse');
    if (byOwner) this.#journal.decided({ paymentHash, amountMsat, rule, accept });
    else if (!accept) this.#journal.refused(expired, amountMsat);
  }

  /** Stores what it remembers of rates, and what the journal has, for the next start. Never throws. */
  close(): void {
    this.#journal.close();
    const { policy } = this.#current ?? {};
    if (policy === undefined || this.#stored === undefined) return;
    try {
      const state = JSON.stringify(policy.state());
      this.#stored.store.transaction((tx) => tx.put(stateKey, state));
    } catch (err) {
      this.#logger.warn({ err }, 'what the policy of keysends remembers of rates could not be stored');
    }
    this.#stored = undefined;
  }
}

const noStatistics: PolicyStatistics = {
  accepted: 0,
  held: 0,
  refused: 0,
  repeated: 0,
  refusedBy: {},
  heldBy: {},
};

function addStatistics(a: PolicyStatistics, b: PolicyStatistics): PolicyStatistics {
  return {
    accepted: a.accepted + b.accepted,
    held: a.held + b.held,
    refused: a.refused + b.refused,
    repeated: a.repeated + b.repeated,
    refusedBy: addCounts(a.refusedBy, b.refusedBy),
    heldBy: addCounts(a.heldBy, b.heldBy),
  };
}

function addCounts(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const sums = { ...a };
  for (const [rule, count] of Object.entries(b)) sums[rule] = (sums[rule] ?? 0) + count;
  return sums;
}
