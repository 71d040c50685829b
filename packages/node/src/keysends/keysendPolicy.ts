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

const settingsKey = 'receive-policy';
const stateKey = 'receive-policy-state';

export interface KeysendPolicyOptions {
  readonly store: ToolkitStore;
  readonly audit: AuditSink;
  /** Our node, 66 hex digits: what senders sign for. */
  readonly recipient: () => string;
  readonly now: () => number;
}

/** What lets everything in. */
const everything: PolicySettings = { version: 1 };

/** Which keysends this node takes: settings that are stored, and judged by before anything is settled. */
export class KeysendPolicy {
  readonly #options: KeysendPolicyOptions;
  #policy: ReceivePolicy;
  #settings: PolicySettings;

  /** @throws KeysendError `request_invalid` for stored settings that this version does not know. */
  constructor(options: KeysendPolicyOptions) {
    this.#options = options;
    const stored = options.store.get(settingsKey);
    this.#settings = stored === undefined ? everything : readPolicySettings(JSON.parse(stored));
    const state = options.store.get(stateKey);
    this.#policy = this.#create(
      this.#settings,
      state === undefined ? undefined : readPolicyState(JSON.parse(state)),
    );
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

  get settings(): PolicySettings {
    return this.#settings;
  }

  get statistics(): PolicyStatistics {
    return this.#policy.statistics();
  }

  /** New settings, from now on. @throws KeysendError `request_invalid` */
  set(json: unknown, actor = 'user'): PolicySettings {
    const settings = readPolicySettings(json);
    const policy = this.#create(settings, this.#policy.state());
    const { store, audit, now } = this.#options;
    store.transaction((tx) => {
      audit.append(tx, {
        type: 'rule_changed',
        atMs: now(),
        actor,
        data: {
          name: 'receive policy',
          before: tx.get(settingsKey) ?? JSON.stringify(everything),
          after: JSON.stringify(settings),
        },
      });
      tx.put(settingsKey, JSON.stringify(settings));
    });
    this.#settings = settings;
    this.#policy = policy;
    return settings;
  }

  /** A keysend that was held is over. */
  decided(paymentHash: string, action: 'accept' | 'refuse'): void {
    this.#policy.decided(paymentHash, action);
  }

  /** Keeps what it remembers of rates for the next start. */
  save(): void {
    const state = JSON.stringify(this.#policy.state());
    this.#options.store.transaction((tx) => tx.put(stateKey, state));
  }

  judge(payment: Omit<IncomingKeysend, 'recipient'>): PolicyVerdict {
    return this.#policy.judge({ ...payment, recipient: this.#options.recipient() });
  }
}
