import { hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../../keysendError.js';
import * as z from '../../schema/index.js';
import { type Schedule, systemSchedule } from '../../timing/schedule.js';
import { checkKeysend } from '../checkKeysend.js';
import type { HoldingWallet } from '../holdingWallet.js';
import {
  errorOfProblem,
  HttpProblem,
  outcomeBefore,
  toBase64,
  type WalletFetch,
  WalletHttp,
  type WalletHttpRequest,
} from '../http/index.js';
import type { CallOptions, WalletBalance, WalletCapabilities, WalletInfo } from '../wallet.js';
import { explainLnd, int64 } from './lndHttp.js';
import { LndInvoices } from './lndInvoices.js';
import { LndSender } from './lndSender.js';

export interface LndWalletOptions {
  /** Of LND's REST interface, for example `https://127.0.0.1:8080`. */
  readonly url: string;
  /** Hex digits. It has to allow what is used: `offchain:read`, `offchain:write`, `invoices:read`, `info:read`. */
  readonly macaroonHex: string;
  /** For a certificate that LND has signed itself, one that trusts it (`pinnedFetch` of `@rivulet/keysend/node`). */
  readonly fetch?: WalletFetch;
  readonly schedule?: Schedule;
  /** LND holds keysends (`keysend-hold-time`), and this app decides: `heldKeysends` and `decide`. */
  readonly holdsKeysends?: boolean;
}

const getInfo = z.object({
  version: z.string(),
  identity_pubkey: z.string(),
  alias: z.string(),
  chains: z.optional(z.array(z.object({ network: z.string() }))),
});
const constraints = z.optional(z.object({ chan_reserve_sat: z.optional(int64) }));
const channels = z.object({
  channels: z.array(
    z.object({
      local_balance: int64,
      remote_balance: int64,
      local_constraints: constraints,
      remote_constraints: constraints,
    }),
  ),
});
const signed = z.object({ signature: z.string() });

/** A wallet of an LND node, over its REST interface. @throws KeysendError `wallet_invalid` */
export function lndWallet(options: LndWalletOptions): HoldingWallet {
  const macaroon = options.macaroonHex.trim().toLowerCase();
  if (!/^([0-9a-f]{2})+$/.test(macaroon)) {
    throw new KeysendError('wallet_invalid', 'the macaroon has to be given in hex digits, as of `xxd -p`');
  }
  const schedule = options.schedule ?? systemSchedule;
  const bytes = toBase64(hexToBytes(macaroon));
  const http = new WalletHttp({
    name: 'the LND node',
    url: options.url,
    headers: { 'Grpc-Metadata-macaroon': macaroon },
    secrets: [macaroon, macaroon.toUpperCase(), bytes],
    fetch: options.fetch,
    schedule,
    explain: explainLnd,
  });
  const sender = new LndSender(http);
  const invoices = new LndInvoices(http, schedule);
  let known: WalletCapabilities | undefined;

  /** @throws HttpProblem */
  async function read<T extends z.AnySchema>(schema: T, request: WalletHttpRequest): Promise<z.output<T>> {
    const parsed = schema.safeParse(await http.json(request));
    if (!parsed.success) throw http.notUnderstood();
    return parsed.data;
  }

  /** @throws KeysendError */
  async function ask<T extends z.AnySchema>(schema: T, request: WalletHttpRequest): Promise<z.output<T>> {
    try {
      return await read(schema, request);
    } catch (problem) {
      throw errorOfProblem(problem);
    }
  }

  /** @throws HttpProblem */
  async function readCapabilities({ signal }: CallOptions): Promise<WalletCapabilities> {
    if (known !== undefined) return known;
    const version = await read(getInfo, { method: 'GET', path: '/v1/getinfo', signal }).then(
      (info) => info.version,
      (problem: unknown) => {
        // A macaroon for payments alone need not allow it. Keysends are in every version of the last years.
        if (problem instanceof HttpProblem && problem.failure === 'unauthorized') return '';
        throw problem;
      },
    );
    const capabilities: WalletCapabilities = {
      keysend: !/^v?0\.[0-8]\./.test(version),
      sendsRecords: true,
      repeats: 'preimage',
      receives: 'records',
      holds: options.holdsKeysends === true,
      signs: true,
      paysInvoices: true,
      takesHints: true,
      limitsFees: true,
    };
    if (version !== '') known = capabilities;
    return capabilities;
  }

  return {
    kind: 'lnd',
    async capabilities(call = {}) {
      try {
        return await readCapabilities(call);
      } catch (problem) {
        throw errorOfProblem(problem);
      }
    },
    async info({ signal } = {}): Promise<WalletInfo> {
      const info = await ask(getInfo, { method: 'GET', path: '/v1/getinfo', signal });
      const network = info.chains?.[0]?.network;
      return {
        kind: 'lnd',
        nodeId: info.identity_pubkey,
        alias: info.alias,
        version: info.version,
        ...(network === undefined ? {} : { network }),
      };
    },
    async balance({ signal } = {}): Promise<WalletBalance> {
      const path = '/v1/channels?active_only=true';
      // Some nodes have thousands.
      const list = await ask(channels, { method: 'GET', path, signal, maxBytes: 32_000_000 });
      let spendableSat = 0n;
      let receivableSat = 0n;
      for (const channel of list.channels) {
        spendableSat += above(channel.local_balance, channel.local_constraints?.chan_reserve_sat);
        receivableSat += above(channel.remote_balance, channel.remote_constraints?.chan_reserve_sat);
      }
      return { spendableMsat: spendableSat * 1000n, receivableMsat: receivableSat * 1000n };
    },
    async keysend(request, call = {}) {
      let can: WalletCapabilities;
      try {
        can = await readCapabilities(call);
      } catch (error) {
        return outcomeBefore(error);
      }
      return checkKeysend(request, can) ?? sender.keysend(request, call);
    },
    payInvoice: (request, call = {}) => sender.payInvoice(request, call),
    async lookup(query, call = {}) {
      try {
        return await sender.lookup(query, call);
      } catch (problem) {
        throw errorOfProblem(problem);
      }
    },
    async *subscribe({ after = '0', signal }) {
      if (!/^[0-9]{1,18}$/.test(after)) {
        throw new KeysendError('request_invalid', 'this cursor is none of an LND node: begin without one');
      }
      try {
        yield* invoices.settled(BigInt(after), signal);
      } catch (problem) {
        throw errorOfProblem(problem);
      }
    },
    async signMessage(message, { signal } = {}) {
      const json = { msg: toBase64(utf8ToBytes(message)) };
      return (await ask(signed, { method: 'POST', path: '/v1/signmessage', json, signal })).signature;
    },
    async *heldKeysends({ signal }) {
      try {
        yield* invoices.held(signal);
      } catch (problem) {
        throw errorOfProblem(problem);
      }
    },
    async decide({ paymentHash, accept }, { signal } = {}) {
      try {
        if (!accept) {
          const json = { payment_hash: toBase64(hexToBytes(paymentHash)) };
          await http.text({ method: 'POST', path: '/v2/invoices/cancel', json, signal });
          return;
        }
        const preimage = await invoices.preimageOf(paymentHash, signal);
        if (preimage === undefined || preimage === '') throw http.notUnderstood();
        const secrets = [preimage];
        await http.text({ method: 'POST', path: '/v2/invoices/settle', json: { preimage }, signal, secrets });
      } catch (problem) {
        if (problem instanceof HttpProblem && problem.failure === 'other' && problem.status !== undefined) {
          throw new KeysendError('state_conflict', `${problem.message}: it is not held any more`);
        }
        throw errorOfProblem(problem);
      }
    },
    close: async () => {},
  };
}

function above(balance: bigint, reserve = 0n): bigint {
  return balance > reserve ? balance - reserve : 0n;
}
