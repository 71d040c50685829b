import { utf8ToBytes } from '@rivulet/core/bytes';
import { hmacSha256 } from '@rivulet/core/crypto';
import { KeysendError } from '../../keysendError.js';
import type { ToolkitStore } from '../../store/toolkitStore.js';
import { pause, type Schedule, systemSchedule } from '../../timing/schedule.js';
import type { Wallet } from '../wallet.js';
import { nostrPublicKey } from './nip44.js';
import { type EventTemplate, isExpired, type NostrEvent, signEvent, tagOf } from './nostrEvent.js';
import { type BudgetRenewal, checkGrant, type NwcGrant, nwcGrants } from './nwcGrants.js';
import { NwcIncoming } from './nwcIncoming.js';
import { type NwcEncryption, nwcCipher, nwcKinds, requestSchema } from './nwcProtocol.js';
import { NwcRequests, type ServedAnswer } from './nwcRequests.js';
import { formatNwcUri } from './nwcUri.js';
import type { WebSocketConstructor } from './relayConnection.js';
import { RelayPool } from './relayPool.js';

export interface NwcServiceOptions {
  readonly wallet: Wallet;
  /** Connections, budgets, and which requests were answered. */
  readonly store: ToolkitStore;
  /** wss://… */
  readonly relays: readonly string[];
  /** 32 secret bytes; the keys of all connections come from them. */
  readonly secret: Uint8Array;
  readonly WebSocket?: WebSocketConstructor;
  readonly now?: () => number;
  readonly randomBytes?: (length: number) => Uint8Array;
  readonly schedule?: Schedule;
}

export interface NewNwcConnection {
  readonly name: string;
  /** `pay_keysend`, `pay_invoice`, `get_balance`, `get_info`, `lookup_invoice`, `list_transactions` by default. */
  readonly methods?: readonly string[];
  /** With fees; no limit where it is absent. */
  readonly budgetMsat?: bigint;
  readonly renewal?: BudgetRenewal;
}

const allMethods = [
  'pay_keysend',
  'pay_invoice',
  'get_balance',
  'get_info',
  'lookup_invoice',
  'list_transactions',
] as const;
/** Only where it is asked for: it signs any text with the key of the node. */
const extraMethods = ['sign_message'] as const;

/** A request that is older was said before, or for nobody. */
const maxAgeMs = 3_600_000;
const maxAheadMs = 900_000;
/** Longer than a request can be said again. */
const keepMs = 2 * 86_400_000;
/** Of one app. */
const maxOpen = 16;
const maxPerMinute = 240;
const publishMs = 60_000;
const receivingRetryMs = [1_000, 5_000, 30_000];

/**
 * Serves a wallet to apps over Nostr Wallet Connect (NIP-47): each app has a connection of its own, with what it may
 * do and a budget. A request is carried out once, whatever relays repeat, and after a restart too; one whose outcome
 * is open is answered when it is certain.
 * @throws KeysendError `request_invalid`
 */
export function nwcService(options: NwcServiceOptions): NwcService {
  return new NwcService(options);
}

interface Served {
  readonly grant: NwcGrant;
  readonly secret: Uint8Array;
  readonly publicKey: string;
}

export class NwcService {
  readonly #options: NwcServiceOptions;
  readonly #now: () => number;
  readonly #randomBytes: (length: number) => Uint8Array;
  readonly #schedule: Schedule;
  readonly #pool: RelayPool;
  readonly #requests: NwcRequests;
  readonly #incoming: NwcIncoming;
  readonly #stop = new AbortController();
  readonly #open = new Map<string, Set<string>>();
  readonly #rates = new Map<string, { minute: number; count: number }>();
  /** What ends the timers that run. */
  readonly #timers = new Set<() => void>();
  #endSubscription = (): void => {};
  #announcedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: NwcServiceOptions) {
    const WebSocket = options.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
    if (WebSocket === undefined) {
      throw new KeysendError(
        'request_invalid',
        'there is no WebSocket here: give one, for example that of `ws`',
      );
    }
    if (options.secret.length !== 32)
      throw new KeysendError('request_invalid', 'the secret has to be 32 bytes');
    if (options.relays.length === 0) throw new KeysendError('request_invalid', 'a relay is needed');
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#schedule = options.schedule ?? systemSchedule;
    this.#randomBytes =
      options.randomBytes ?? ((length) => globalThis.crypto.getRandomValues(new Uint8Array(length)));
    const { wallet, store, relays, secret } = options;
    const timing = { now: this.#now, schedule: this.#schedule };
    this.#pool = new RelayPool({ relays, WebSocket, ...timing });
    this.#incoming = new NwcIncoming(store);
    this.#requests = new NwcRequests({ wallet, store, secret, incoming: this.#incoming, ...timing });
  }

  /** Goes to the relays, finishes what was under way, and serves from then on. */
  start(): void {
    this.#requests.resume(nwcGrants.list(this.#options.store, this.#now()));
    this.#forgetOld();
    this.#listen();
    void this.#receive();
  }

  /** @returns the connection's URI for the app: it is not kept, and has the app's secret in it. */
  connect({ name, methods = allMethods, budgetMsat, renewal = 'never' }: NewNwcConnection): string {
    checkGrant({ name, budgetMsat });
    const known = new Set<string>([...allMethods, ...extraMethods]);
    const unknown = methods.find((method) => !known.has(method));
    if (unknown !== undefined) throw new KeysendError('request_invalid', `${unknown} is not served`);
    const clientSecret = this.#randomBytes(32);
    const clientPubkey = nostrPublicKey(clientSecret);
    const nowMs = this.#now();
    const grant: NwcGrant = {
      clientPubkey,
      name,
      methods,
      ...(budgetMsat !== undefined && { budgetMsat }),
      renewal,
      createdAtMs: nowMs,
      spentMsat: 0n,
      reservedMsat: 0n,
    };
    this.#options.store.transaction((tx) => nwcGrants.put(tx, grant, nowMs));
    const served = this.#keysOf(grant);
    this.#announce(served);
    this.#listen();
    return formatNwcUri({
      walletPubkey: served.publicKey,
      relays: this.#options.relays,
      secret: clientSecret,
    });
  }

  connections(): NwcGrant[] {
    return nwcGrants.list(this.#options.store, this.#now());
  }

  /** What is under way goes on; nothing new is taken from this app. */
  disconnect(clientPubkey: string): void {
    this.#options.store.transaction((tx) => nwcGrants.delete(tx, clientPubkey));
    this.#listen();
  }

  close(): void {
    this.#stop.abort();
    for (const cancel of this.#timers) cancel();
    this.#endSubscription();
    this.#requests.close();
    this.#pool.close();
  }

  #served(): Served[] {
    return this.connections().map((grant) => this.#keysOf(grant));
  }

  /** NIP-47: a key of its own for each connection, so that apps cannot be told to be of one wallet. */
  #keysOf(grant: NwcGrant): Served {
    const secret = hmacSha256(this.#options.secret, utf8ToBytes(`nwc-service/${grant.clientPubkey}`));
    return { grant, secret, publicKey: nostrPublicKey(secret) };
  }

  #publish(served: Served, event: Omit<EventTemplate, 'created_at'>): void {
    const created_at = Math.floor(this.#now() / 1000);
    const signed = signEvent({ ...event, created_at }, served.secret, this.#randomBytes(32));
    const publishing = this.#pool.publish(signed);
    const cancel = this.#schedule(publishMs, () => {
      this.#timers.delete(cancel);
      publishing.stop();
    });
    this.#timers.add(cancel);
  }

  /** Relays may have lost it while they were away. */
  #announceAll(): void {
    if (this.#now() - this.#announcedAtMs < publishMs) return;
    this.#announcedAtMs = this.#now();
    for (const served of this.#served()) this.#announce(served);
  }

  #announce(served: Served): void {
    this.#publish(served, {
      kind: nwcKinds.info,
      tags: [
        ['encryption', 'nip44_v2 nip04'],
        ['notifications', 'payment_received'],
      ],
      content: [...served.grant.methods, 'notifications'].join(' '),
    });
  }

  #listen(): void {
    this.#endSubscription();
    const served = this.#served();
    if (served.length === 0 || this.#stop.signal.aborted) return;
    this.#endSubscription = this.#pool.subscribe({
      filter: {
        kinds: [nwcKinds.request],
        authors: served.map(({ grant }) => grant.clientPubkey),
        '#p': served.map(({ publicKey }) => publicKey),
        since: Math.floor((this.#now() - maxAgeMs) / 1000),
      },
      onEvent: (event) => void this.#serve(event),
      onLive: () => this.#announceAll(),
    });
  }

  async #serve(event: NostrEvent): Promise<void> {
    const nowMs = this.#now();
    const grant = nwcGrants.get(this.#options.store, event.pubkey, nowMs);
    if (grant === undefined || isExpired(event, nowMs)) return;
    const createdMs = event.created_at * 1000;
    if (createdMs < nowMs - maxAgeMs || createdMs > nowMs + maxAheadMs) return;
    const served = this.#keysOf(grant);
    if (tagOf(event, 'p') !== served.publicKey) return;
    const open = this.#open.get(grant.clientPubkey) ?? new Set();
    // The answer of the first is the answer of all.
    if (open.has(event.id)) return;
    const scheme = tagOf(event, 'encryption') ?? 'nip04';
    const encryption: NwcEncryption = scheme === 'nip04' ? 'nip04' : 'nip44_v2';
    const cipher = nwcCipher(served.secret, grant.clientPubkey, this.#randomBytes);
    const send = (answer: ServedAnswer): void =>
      this.#publish(served, {
        kind: nwcKinds.response,
        tags: [
          ['p', grant.clientPubkey],
          ['e', event.id],
        ],
        content: cipher.encrypt(JSON.stringify(answer), encryption),
      });
    const refuse = (code: string, message: string, method = ''): void =>
      send({ result_type: method, error: { code, message }, result: null });
    if (scheme !== 'nip04' && scheme !== 'nip44_v2') {
      return refuse('UNSUPPORTED_ENCRYPTION', 'nip44_v2 and nip04 are understood');
    }
    const request = this.#read(() => cipher.decrypt(event.content, encryption));
    if (request === undefined) return;
    if (!this.#admits(grant.clientPubkey, open.size)) {
      return refuse('RATE_LIMITED', 'too many requests', request.method);
    }
    this.#open.set(grant.clientPubkey, open.add(event.id));
    try {
      const { method, params } = request;
      const answer = await this.#requests.answer({ event, grant, method, params: params ?? {} });
      if (answer !== undefined && !this.#stop.signal.aborted) send(answer);
    } catch {
      // What was open stays in the store; nothing that is not certain is said.
      if (!this.#stop.signal.aborted) refuse('INTERNAL', 'this is our fault', request.method);
    } finally {
      open.delete(event.id);
    }
  }

  #read(decrypt: () => string) {
    try {
      const parsed = requestSchema.safeParse(JSON.parse(decrypt()));
      return parsed.success ? parsed.data : undefined;
    } catch {
      return undefined;
    }
  }

  #admits(clientPubkey: string, open: number): boolean {
    const minute = Math.floor(this.#now() / 60_000);
    const rate = this.#rates.get(clientPubkey);
    const count = rate?.minute === minute ? rate.count + 1 : 1;
    this.#rates.set(clientPubkey, { minute, count });
    return open < maxOpen && count <= maxPerMinute;
  }

  #forgetOld(): void {
    this.#requests.forgetBefore(this.#now() - keepMs);
    const cancel = this.#schedule(keepMs / 4, () => {
      this.#timers.delete(cancel);
      this.#forgetOld();
    });
    this.#timers.add(cancel);
  }

  /** Tells apps of what arrives. */
  async #receive(): Promise<void> {
    const { signal } = this.#stop;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const { receives } = await this.#options.wallet.capabilities({ signal });
        if (receives === 'none') return;
        const after = this.#incoming.cursor;
        const options = after === undefined ? { signal } : { after, signal };
        for await (const payment of this.#options.wallet.subscribe(options)) {
          attempt = 0;
          const notification = this.#incoming.add(payment);
          if (notification === undefined) continue;
          const text = JSON.stringify({ notification_type: 'payment_received', notification });
          for (const served of this.#served()) this.#notify(served, text);
        }
      } catch {
        // The wallet is away: it goes on after the last one that is stored.
      }
      await pause(this.#schedule, receivingRetryMs[Math.min(attempt, 2)] as number, signal);
    }
  }

  #notify(served: Served, text: string): void {
    const { clientPubkey } = served.grant;
    const cipher = nwcCipher(served.secret, clientPubkey, this.#randomBytes);
    const kinds = [
      [nwcKinds.notification44, 'nip44_v2'],
      [nwcKinds.notification04, 'nip04'],
    ] as const;
    for (const [kind, encryption] of kinds) {
      this.#publish(served, { kind, tags: [['p', clientPubkey]], content: cipher.encrypt(text, encryption) });
    }
  }
}
