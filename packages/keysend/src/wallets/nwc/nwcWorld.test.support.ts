import { NWCWalletService, NWCWalletServiceKeyPair } from '@getalby/sdk/nwc';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { WebSocket } from 'ws';
import type { WalletFailure } from '../wallet.js';
import {
  type IncomingKeysend,
  ManualSchedule,
  type SendBehaviour,
  type SentKeysend,
  type WalletWorld,
} from '../walletWorld.test.support.js';
import { nostrPublicKey } from './nip44.js';
import { signEvent } from './nostrEvent.js';
import type { NwcEncryption } from './nwcProtocol.js';
import { formatNwcUri } from './nwcUri.js';
import { nwcWallet } from './nwcWallet.js';
import { TestRelay } from './relay.test.support.js';
import type { WebSocketConstructor } from './relayConnection.js';

// Node.js 20 has none of its own; the SDK takes it from there.
globalThis.WebSocket ??= WebSocket as unknown as typeof globalThis.WebSocket;

export const testWebSocket = WebSocket as unknown as WebSocketConstructor;

interface Row {
  readonly type: 'incoming' | 'outgoing';
  state: 'pending' | 'settled' | 'failed';
  readonly invoice: string;
  readonly preimage: string;
  readonly payment_hash: string;
  readonly amount: number;
  readonly fees_paid: number;
  readonly created_at: number;
  readonly settled_at: number;
  readonly metadata?: { tlv_records: { type: number; value: string }[] };
}

interface Answer<T> {
  result: T | undefined;
  error: { code: string; message: string } | undefined;
}

const ok = <T>(result: T): Answer<T> => ({ result, error: undefined });
const no = (code: string, message: string): Answer<never> => ({
  result: undefined,
  error: { code, message },
});

const codeOf: Partial<Record<WalletFailure, string>> = {
  insufficient_balance: 'INSUFFICIENT_BALANCE',
  quota_exceeded: 'QUOTA_EXCEEDED',
  unauthorized: 'RESTRICTED',
  wallet_cannot: 'NOT_IMPLEMENTED',
  rate_limited: 'RATE_LIMITED',
  no_route: 'PAYMENT_FAILED',
  other: 'INTERNAL',
};

/** Deterministic, different each time. */
function randomSource(): (length: number) => Uint8Array {
  let counter = 0;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 32) {
      bytes.set(sha256(new TextEncoder().encode(`nwc ${counter++}`)).subarray(0, length - i), i);
    }
    return bytes;
  };
}

/**
 * A wallet service of another implementation (@getalby/sdk) behind a real relay; its node is a list in memory that
 * pays each hash once, as nodes do.
 */
export async function nwcWorld({ encryption = 'nip44_v2' }: { encryption?: NwcEncryption } = {}) {
  const relay = await TestRelay.start();
  const randomBytes = randomSource();
  const walletSecret = randomBytes(32);
  const secret = randomBytes(32);
  const walletPubkey = nostrPublicKey(walletSecret);
  const uri = formatNwcUri({ walletPubkey, relays: [relay.url], secret });
  const manual = new ManualSchedule(2_000);
  let elapsedMs = 0;
  const now = (): number => Date.now() + elapsedMs;

  const rows: Row[] = [];
  const sent: SentKeysend[] = [];
  const plan: SendBehaviour[] = [];
  let invoices = 0;
  let hanging = (): void => {};
  let hung = new Promise<void>((resolve) => {
    hanging = resolve;
  });
  let release: ((outcome: 'succeeded' | 'failed') => void) | undefined;

  const service = new NWCWalletService({ relayUrl: relay.url });
  const keypair = new NWCWalletServiceKeyPair(bytesToHex(walletSecret), nostrPublicKey(secret));

  async function pay(row: Row, commit: () => void): Promise<Answer<Row>> {
    const earlier = rows.find(
      (other) => other.type === 'outgoing' && other.payment_hash === row.payment_hash,
    );
    // As nodes do: a hash is paid once, and not while it is under way.
    if (earlier !== undefined && earlier.state !== 'failed')
      return no('OTHER', 'payment is under way or was made');
    if (earlier !== undefined) rows.splice(rows.indexOf(earlier), 1);
    const behaviour = plan.shift() ?? { type: 'succeed' };
    const settle = (): Answer<Row> => {
      row.state = 'settled';
      commit();
      return ok(row);
    };
    switch (behaviour.type) {
      case 'fail':
        return no(codeOf[behaviour.failure] ?? 'OTHER', `because of ${behaviour.failure}`);
      case 'rate_limit':
        return no('RATE_LIMITED', 'slow down');
      case 'hang': {
        rows.push(row);
        const ended = new Promise<'succeeded' | 'failed'>((resolve) => {
          release = resolve;
        });
        hanging();
        if ((await ended) === 'succeeded') return settle();
        row.state = 'failed';
        return no('PAYMENT_FAILED', 'no way');
      }
      case 'cut':
        if (behaviour.paid) {
          rows.push(row);
          settle();
        }
        relay.faults.onPublish = (event) => {
          if (event.kind !== 23_195) return undefined;
          relay.faults = {};
          relay.dropConnections(23_194);
          setImmediate(() => elapse(120_000));
          return 'swallow';
        };
        return ok(row);
      case 'paid_then_garbage':
        rows.push(row);
        settle();
        relay.faults.onPublish = (event) => {
          if (event.kind !== 23_195) return undefined;
          relay.faults = {};
          relay.broadcast(signEvent({ ...event, content: 'garbage' }, walletSecret, randomBytes(32)));
          setImmediate(() => elapse(120_000));
          return 'swallow';
        };
        return ok(row);
      default:
        rows.push(row);
        return settle();
    }
  }

  function elapse(milliseconds: number): void {
    elapsedMs += milliseconds;
    manual.elapse(milliseconds);
  }

  const created = (): number => Math.floor(now() / 1000);
  const handler = {
    getInfo: async () =>
      ok({
        alias: 'hub',
        color: '',
        pubkey: `02${'ab'.repeat(32)}`,
        network: 'regtest',
        block_height: 1,
        block_hash: '',
        methods: [
          'get_info',
          'get_balance',
          'pay_keysend',
          'pay_invoice',
          'lookup_invoice',
          'list_transactions',
          'sign_message',
        ],
        notifications: ['payment_received'],
      }),
    getBalance: async () => ok({ balance: 1_000_000_000 }),
    payKeysend: async (request: {
      amount: number;
      pubkey: string;
      preimage?: string;
      tlv_records?: { type: number; value: string }[];
    }) => {
      const preimage = request.preimage ?? bytesToHex(randomBytes(32));
      const row: Row = {
        type: 'outgoing',
        state: 'pending',
        invoice: '',
        preimage,
        payment_hash: bytesToHex(sha256(hexToBytes(preimage))),
        amount: request.amount,
        fees_paid: 1_000,
        created_at: created(),
        settled_at: created(),
      };
      return pay(row, () =>
        sent.push({
          nodeId: request.pubkey,
          amountMsat: BigInt(request.amount),
          records: new Map(
            (request.tlv_records ?? []).map(({ type, value }) => [BigInt(type), hexToBytes(value)]),
          ),
        }),
      );
    },
    payInvoice: async ({ invoice }: { invoice: string }) => {
      const match = /^lnbcrt(\d+)p([0-9a-f]{64})$/.exec(invoice);
      if (match === null) return no('OTHER', 'this is no invoice');
      const preimage = match[2] as string;
      const row: Row = {
        type: 'outgoing',
        state: 'pending',
        invoice,
        preimage,
        payment_hash: bytesToHex(sha256(hexToBytes(preimage))),
        amount: Number(match[1]),
        fees_paid: 0,
        created_at: created(),
        settled_at: created(),
      };
      return pay(row, () => sent.push({ nodeId: '', amountMsat: BigInt(row.amount), records: new Map() }));
    },
    lookupInvoice: async (query: { payment_hash?: string; invoice?: string }) => {
      const row = rows.find(
        ({ payment_hash, invoice }) =>
          payment_hash === query.payment_hash || (query.invoice !== undefined && invoice === query.invoice),
      );
      if (row === undefined) return no('NOT_FOUND', 'not here');
      return ok(row.state === 'settled' ? row : { ...row, preimage: '', settled_at: 0 });
    },
    listTransactions: async (query: { from?: number; limit?: number; offset?: number; type?: string }) => {
      const wanted = rows.filter(
        ({ type, state, created_at }) =>
          type === query.type && state === 'settled' && created_at >= (query.from ?? 0),
      );
      const { offset = 0, limit = 20 } = query;
      return ok({ transactions: wanted.reverse().slice(offset, offset + limit), total_count: wanted.length });
    },
    signMessage: async ({ message }: { message: string }) => ok({ message, signature: 'y'.repeat(104) }),
  };

  // The SDK's service says that it has both; a wallet with NIP-04 alone says so itself.
  relay.stored.set(
    `13194:${walletPubkey}`,
    signEvent(
      {
        kind: 13_194,
        created_at: created(),
        tags: [
          ...(encryption === 'nip04' ? [] : [['encryption', `nip04 ${encryption}`]]),
          ['notifications', 'payment_received'],
        ],
        content:
          'pay_keysend pay_invoice get_info get_balance lookup_invoice list_transactions notifications',
      },
      walletSecret,
      randomBytes(32),
    ),
  );
  const unsubscribe = await service.subscribe(keypair, handler as never);

  function received(row: Pick<Row, 'amount' | 'invoice'> & Partial<Row>): string {
    const preimage = bytesToHex(randomBytes(32));
    const paymentHash = bytesToHex(sha256(hexToBytes(preimage)));
    const seconds = created();
    rows.push({
      type: 'incoming',
      state: 'settled',
      preimage,
      payment_hash: paymentHash,
      fees_paid: 0,
      created_at: seconds,
      settled_at: seconds,
      ...row,
    });
    relay.broadcast(
      signEvent(
        {
          kind: encryption === 'nip44_v2' ? 23_197 : 23_196,
          created_at: seconds,
          tags: [['p', nostrPublicKey(secret)]],
          content: cipherText,
        },
        walletSecret,
        randomBytes(32),
      ),
    );
    return paymentHash;
  }
  const cipherText = await service.encrypt(
    keypair,
    JSON.stringify({ notification_type: 'payment_received', notification: {} }),
    encryption,
  );

  const open = () =>
    nwcWallet({ uri, WebSocket: testWebSocket, now, randomBytes, schedule: manual.schedule });

  const world: WalletWorld = {
    nodeId: `03${'cd'.repeat(32)}`,
    secrets: [bytesToHex(secret)],
    maxRecordType: BigInt(Number.MAX_SAFE_INTEGER),
    sent: () => sent,
    nextSend: (behaviour) => void plan.push(behaviour),
    behaviours: new Set(['succeed', 'fail', 'hang', 'cut', 'paid_then_garbage', 'rate_limit']),
    failures: [
      'insufficient_balance',
      'quota_exceeded',
      'unauthorized',
      'wallet_cannot',
      'no_route',
      'other',
    ],
    async hanging() {
      await hung;
      hung = new Promise((resolve) => {
        hanging = resolve;
      });
    },
    async release(outcome) {
      release?.(outcome);
      // What hangs answers a promise: nothing else can be waited for.
      await new Promise((resolve) => setImmediate(resolve));
    },
    elapse,
    receive: async ({ amountMsat, records }: IncomingKeysend) =>
      received({
        amount: Number(amountMsat),
        invoice: '',
        metadata: {
          tlv_records: [...records].map(([type, value]) => ({
            type: Number(type),
            value: bytesToHex(value),
          })),
        },
      }),
    receiveInvoice: async (amountMsat) =>
      void received({ amount: Number(amountMsat), invoice: `lnbcrt${invoices++}` }),
    async restart() {
      // The SDK of the other side would take a second to come back.
      relay.dropConnections(23_194);
    },
    async stop() {
      unsubscribe();
      service.close();
      await relay.stop();
    },
    reopen: async () => open(),
    async invoice(amountMsat) {
      const preimage = randomBytes(32);
      return {
        invoice: `lnbcrt${amountMsat}p${bytesToHex(preimage)}`,
        paymentHash: bytesToHex(sha256(preimage)),
      };
    },
    async close() {
      unsubscribe();
      service.close();
      await relay.stop();
    },
  };
  return { wallet: open(), world, relay, uri, rows, elapse, now, randomBytes, walletSecret, secret, manual };
}
