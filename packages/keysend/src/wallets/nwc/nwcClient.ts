import { KeysendError } from '../../keysendError.js';
import type { Schedule } from '../../timing/schedule.js';
import { nostrPublicKey } from './nip44.js';
import { type NostrEvent, signEvent, tagOf } from './nostrEvent.js';
import {
  answerSchema,
  type NwcCipher,
  type NwcEncryption,
  notificationSchema,
  nwcCipher,
  nwcKinds,
} from './nwcProtocol.js';
import type { NwcConnection } from './nwcUri.js';
import type { WebSocketConstructor } from './relayConnection.js';
import { RelayPool } from './relayPool.js';

/** What the wallet says of itself, readable by everybody. */
export interface NwcServiceInfo {
  readonly encryption: NwcEncryption;
  readonly methods: ReadonlySet<string>;
  readonly notifications: ReadonlySet<string>;
}

/** What came of a request. `none`: no answer; `written` where the wallet may have got it all the same. */
export type NwcAnswer =
  | { readonly type: 'result'; readonly result: unknown }
  | {
      readonly type: 'error';
      readonly code: string;
      readonly message: string;
      /** The wallet may have got the request more than once: what it says of one copy need not be so of another. */
      readonly repeated: boolean;
    }
  | {
      readonly type: 'none';
      readonly written: boolean;
      readonly why: 'timeout' | 'refused' | 'stopped';
      readonly message: string;
    };

export interface NwcRequest {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** How long to wait, and for how long the wallet may take the request. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface NwcClientOptions {
  readonly connection: NwcConnection;
  readonly WebSocket: WebSocketConstructor;
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly schedule: Schedule;
}

/** Requests under way at once: relays allow few subscriptions. */
const maxOpenRequests = 8;
/** Requests that wait for one of them. */
const maxWaitingRequests = 1_000;
const infoTimeoutMs = 15_000;

/** The client's half of NIP-47 over one connection. */
export class NwcClient {
  readonly #options: NwcClientOptions;
  readonly #pool: RelayPool;
  readonly #cipher: NwcCipher;
  readonly #publicKey: string;
  #info: Promise<NwcServiceInfo> | undefined;
  #open = 0;
  #waiting: (() => void)[] = [];
  #closed = false;
  readonly #stops = new Set<() => void>();

  constructor(options: NwcClientOptions) {
    this.#options = options;
    const { relays, secret, walletPubkey } = options.connection;
    this.#pool = new RelayPool({ relays, ...options });
    this.#publicKey = nostrPublicKey(secret);
    try {
      this.#cipher = nwcCipher(secret, walletPubkey, options.randomBytes);
    } catch {
      throw new KeysendError('wallet_invalid', "the wallet's public key is none; copy the connection again");
    }
  }

  /** Remembered once it is known. @throws KeysendError `wallet_unreachable` */
  async serviceInfo(signal?: AbortSignal): Promise<NwcServiceInfo> {
    this.#info ??= this.#fetchInfo().catch((error: unknown) => {
      this.#info = undefined;
      throw error;
    });
    return await untilAborted(this.#info, signal);
  }

  #fetchInfo(): Promise<NwcServiceInfo> {
    return new Promise((resolve, reject) => {
      let newest: NostrEvent | undefined;
      const finish = (): void => {
        cancel();
        end();
        this.#stops.delete(finish);
        if (newest !== undefined) resolve(readInfo(newest));
        else reject(unreachable('no relay of the connection knows this wallet: is it running?'));
      };
      const end = this.#pool.subscribe({
        filter: { kinds: [nwcKinds.info], authors: [this.#options.connection.walletPubkey], limit: 1 },
        onEvent(event) {
          if (newest === undefined || event.created_at > newest.created_at) newest = event;
        },
        onEnd: () => finish(),
      });
      const cancel = this.#options.schedule(infoTimeoutMs, finish);
      this.#stops.add(finish);
    });
  }

  /** Never rejects once the request is made. @throws KeysendError where no relay, or no wallet, is there at all */
  async request(request: NwcRequest): Promise<NwcAnswer> {
    if (this.#closed) throw new KeysendError('stopped', 'this wallet was closed');
    const { encryption } = await this.serviceInfo(request.signal);
    if (this.#open >= maxOpenRequests) {
      if (this.#waiting.length >= maxWaitingRequests) {
        const message = 'too many requests wait for this wallet';
        return { type: 'error', code: 'RATE_LIMITED', message, repeated: false };
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#closed || request.signal?.aborted === true) {
      this.#waiting.shift()?.();
      return { type: 'none', written: false, why: 'stopped', message: 'stopped before the wallet was asked' };
    }
    this.#open++;
    try {
      return await this.#exchange(request, encryption);
    } finally {
      this.#open--;
      this.#waiting.shift()?.();
    }
  }

  #exchange(
    { method, params, timeoutMs, signal }: NwcRequest,
    encryption: NwcEncryption,
  ): Promise<NwcAnswer> {
    const { now, randomBytes, schedule, connection } = this.#options;
    const createdAt = Math.floor(now() / 1000);
    const event = signEvent(
      {
        kind: nwcKinds.request,
        created_at: createdAt,
        tags: [
          ['p', connection.walletPubkey],
          ['encryption', encryption],
          // NIP-47: a wallet that gets it later ignores it.
          ['expiration', String(createdAt + Math.ceil(timeoutMs / 1000))],
        ],
        content: this.#cipher.encrypt(JSON.stringify({ method, params }), encryption),
      },
      connection.secret,
      randomBytes(32),
    );
    return new Promise((resolve) => {
      const finish = (answer: NwcAnswer): void => {
        cancel();
        publishing.stop();
        end();
        signal?.removeEventListener('abort', stop);
        this.#stops.delete(stop);
        resolve(answer);
      };
      const none = (why: 'timeout' | 'refused' | 'stopped', message: string): void =>
        finish({ type: 'none', written: publishing.copies > 0, why, message });
      const stop = (): void => none('stopped', 'stopped before the wallet had answered');
      // The subscription goes first: the answer may be there before anything else is.
      const end = this.#pool.subscribe({
        filter: { kinds: [nwcKinds.response], authors: [connection.walletPubkey], '#e': [event.id] },
        onEvent: (response) => {
          const answer = this.#readAnswer(response, method, encryption);
          if (answer === undefined) return;
          finish(answer.type === 'error' ? { ...answer, repeated: publishing.copies > 1 } : answer);
        },
      });
      const publishing = this.#pool.publish(event, () => none('refused', publishing.refusal));
      const cancel = schedule(timeoutMs, () =>
        none('timeout', `the wallet did not answer within ${Math.ceil(timeoutMs / 1000)} seconds`),
      );
      signal?.addEventListener('abort', stop, { once: true });
      this.#stops.add(stop);
    });
  }

  #readAnswer(event: NostrEvent, method: string, encryption: NwcEncryption): NwcAnswer | undefined {
    const answer = answerSchema.safeParse(this.#decrypt(event, encryption));
    if (!answer.success) return undefined;
    const { error, result, result_type } = answer.data;
    if (typeof result_type === 'string' && result_type !== method) return undefined;
    if (error !== undefined && error !== null) {
      return { type: 'error', code: error.code, message: error.message ?? '', repeated: false };
    }
    return { type: 'result', result };
  }

  #decrypt(event: NostrEvent, encryption: NwcEncryption): unknown {
    try {
      return JSON.parse(this.#cipher.decrypt(event.content, encryption));
    } catch {
      return undefined;
    }
  }

  /** Notifications from now on; `onLive` whenever a relay is there again, and some may have been missed. @returns what ends it. */
  subscribeNotifications(
    { encryption }: NwcServiceInfo,
    { onNotification, onLive }: { onNotification: (type: string) => void; onLive: () => void },
  ): () => void {
    return this.#pool.subscribe({
      filter: {
        kinds: [encryption === 'nip44_v2' ? nwcKinds.notification44 : nwcKinds.notification04],
        authors: [this.#options.connection.walletPubkey],
        '#p': [this.#publicKey],
        since: Math.floor(this.#options.now() / 1000) - 60,
      },
      onEvent: (event) => {
        const parsed = notificationSchema.safeParse(this.#decrypt(event, encryption));
        if (parsed.success) onNotification(parsed.data.notification_type);
      },
      onLive,
    });
  }

  close(): void {
    this.#closed = true;
    for (const stop of [...this.#stops]) stop();
    for (const resolve of this.#waiting.splice(0)) resolve();
    this.#pool.close();
  }
}

function readInfo(event: NostrEvent): NwcServiceInfo {
  const words = (text: string | undefined): Set<string> =>
    new Set((text ?? '').split(/[ ,|]+/).filter(Boolean));
  const schemes = words(tagOf(event, 'encryption'));
  return {
    // NIP-47: the absence of this tag means NIP-04.
    encryption: schemes.has('nip44_v2') ? 'nip44_v2' : 'nip04',
    methods: words(event.content),
    notifications: words(tagOf(event, 'notifications')),
  };
}

function unreachable(message: string): KeysendError {
  return new KeysendError('wallet_unreachable', message);
}

/** The same promise, given up when the signal aborts. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new KeysendError('stopped', 'stopped while the wallet was looked for'));
    if (signal.aborted) {
      promise.catch(() => {});
      return stop();
    }
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
