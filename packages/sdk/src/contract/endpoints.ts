import { z } from 'zod';
import { abandonmentEndpoints } from './abandonment.js';
import { channel, channelState, channelType } from './channel.js';
import { description, hex, host, msat, nodeId, port, queryInteger, records, sat, txidHex } from './fields.js';
import { health } from './health.js';
import { decodedInvoice, hintHop, invoice } from './invoice.js';
import { keysendEndpoints } from './keysends.js';
import { payment } from './payment.js';
import { announcedPolicy, forwardingPolicy, forwardTotal, route, sendingLimits } from './routing.js';
import { towerEndpoints } from './towers.js';
import { walletEndpoints } from './wallet.js';

/**
 * One endpoint: `GET` takes its request from the query string, `POST` from a JSON body. The schemas are
 * codecs: JSON on the wire, `bigint` amounts in code.
 */
export interface Endpoint {
  readonly method: 'GET' | 'POST';
  readonly path: `/v1/${string}`;
  readonly request: z.ZodObject;
  readonly response: z.ZodObject;
}

const none = z.strictObject({});

/** Every endpoint; the keys are the names of the methods of NodeService and of the client. */
export const endpoints = {
  info: {
    method: 'GET',
    path: '/v1/info',
    request: none,
    response: z.object({
      nodeId,
      alias: z.string(),
      version: z.string(),
      network: z.enum(['regtest', 'signet', 'testnet4', 'mainnet']),
      blockHeight: z.int().min(0),
      blockHash: hex(32),
      synced: z.boolean(),
      /** Which implementation of secp256k1 is at work. */
      crypto: z.enum(['native', 'wasm', 'noble']),
      /** Where peers can connect. */
      listening: z.array(z.object({ host, port })),
      peers: z.int().min(0),
      channels: z.object({ usable: z.int(), open: z.int(), pending: z.int(), closing: z.int() }),
      keysend: z.object({ accept: z.boolean(), minAmountMsat: msat }),
    }),
  },
  health: {
    method: 'GET',
    path: '/v1/health',
    request: none,
    response: health,
  },
  connect: {
    method: 'POST',
    path: '/v1/connect',
    request: z.strictObject({ nodeId, host, port }),
    response: z.object({ nodeId, inbound: z.boolean(), features: hex() }),
  },
  disconnect: {
    method: 'POST',
    path: '/v1/disconnect',
    request: z.strictObject({ nodeId }),
    response: z.object({ disconnected: z.boolean() }),
  },
  peers: {
    method: 'GET',
    path: '/v1/peers',
    request: none,
    response: z.object({
      peers: z.array(
        z.object({
          nodeId,
          /** The other end of the connection; not dialable if it is inbound. */
          host,
          port,
          inbound: z.boolean(),
          features: hex(),
          channels: z.int().min(0),
        }),
      ),
    }),
  },
  openChannel: {
    method: 'POST',
    path: '/v1/open-channel',
    request: z.strictObject({
      nodeId,
      /** Where to connect first, if the peer is not connected. */
      host: host.optional(),
      port: port.optional(),
      capacitySat: sat,
      /** Given to the peer at the start: not ours any more. */
      pushSat: sat.optional(),
      channelType: channelType.optional(),
      announce: z.boolean().optional(),
      /** Of the funding transaction. */
      feeratePerKw: z.int().min(253).optional(),
    }),
    response: z.object({
      channelId: hex(32),
      fundingTxidHex: txidHex,
      fundingOutputIndex: z.int().min(0),
      state: channelState,
      /** Confirmations until it is usable. */
      minimumDepth: z.int().min(0),
    }),
  },
  closeChannel: {
    method: 'POST',
    path: '/v1/close-channel',
    request: z.strictObject({
      channelId: hex(32),
      /** Publishes our commitment instead of agreeing with the peer. */
      force: z.boolean().optional(),
      /** Where our share goes; to a new address of our own if neither is given. */
      address: z.string().max(100).optional(),
      script: hex().max(84).optional(),
      feeratePerKw: z.int().min(253).optional(),
    }),
    response: z.object({ channelId: hex(32), state: channelState, closingTxidHex: txidHex.optional() }),
  },
  channels: {
    method: 'GET',
    path: '/v1/channels',
    request: none,
    response: z.object({ channels: z.array(channel) }),
  },
  newAddress: {
    method: 'POST',
    path: '/v1/new-address',
    request: none,
    response: z.object({ address: z.string() }),
  },
  descriptors: {
    method: 'GET',
    path: '/v1/descriptors',
    request: none,
    /** Of the on-chain wallet, without private keys (BIP 380): who has them sees all its coins. */
    response: z.object({ descriptors: z.array(z.string()) }),
  },
  balance: {
    method: 'GET',
    path: '/v1/balance',
    request: none,
    response: z.object({
      onchain: z.object({ confirmedSat: sat, unconfirmedSat: sat }),
      channels: z.object({
        localMsat: msat,
        remoteMsat: msat,
        /** In payments under way. */
        pendingMsat: msat,
        /** Ours in channels that are being closed. */
        closingMsat: msat,
      }),
    }),
  },
  keysend: {
    method: 'POST',
    path: '/v1/keysend',
    request: z.strictObject({
      nodeId,
      amountMsat: msat,
      /** Text for the recipient (record 34349334). */
      message: z
        .string()
        .max(1_200, 'too long: a payment carries about 1,200 bytes, message and records together')
        .optional(),
      records: records.optional(),
      /** A second request with the same key answers with the payment of the first and pays nothing. */
      idempotencyKey: z.string().min(1).max(128).optional(),
      /**
       * 32 random bytes that nobody else knows, where the caller chooses: the same again is the same payment. While
       * it is under way, or when it arrived, its outcome is the answer; when it failed, it is tried again.
       */
      preimage: hex(32).optional(),
      /** Ways over unannounced channels, each ending at the node. */
      hints: z.array(z.array(hintHop).min(1).max(20)).max(20).optional(),
      /** How long to wait for the outcome; the payment goes on afterwards. */
      waitSeconds: z.int().min(0).max(600).optional(),
      ...sendingLimits,
    }),
    response: payment,
  },
  createInvoice: {
    method: 'POST',
    path: '/v1/create-invoice',
    request: z.strictObject({
      /** The payer chooses where it is absent. */
      amountMsat: msat.optional(),
      description: description.optional(),
      expirySeconds: z.int().min(1).max(31_536_000).optional(),
      /** Makes a hold invoice: what is paid waits for `settleInvoice` or `cancelInvoice`. */
      hold: z.boolean().optional(),
      /** Of a hold invoice whose preimage the caller has. */
      paymentHash: hex(32).optional(),
    }),
    response: invoice,
  },
  invoices: {
    method: 'GET',
    path: '/v1/invoices',
    request: z.strictObject({
      paymentHash: hex(32).optional(),
      limit: queryInteger.optional(),
      before: queryInteger.optional(),
    }),
    response: z.object({ invoices: z.array(invoice), next: z.int().optional() }),
  },
  settleInvoice: {
    method: 'POST',
    path: '/v1/settle-invoice',
    request: z.strictObject({
      paymentHash: hex(32),
      /** Needed where the invoice was made with the hash alone. */
      preimage: hex(32).optional(),
    }),
    response: invoice,
  },
  cancelInvoice: {
    method: 'POST',
    path: '/v1/cancel-invoice',
    request: z.strictObject({ paymentHash: hex(32) }),
    response: invoice,
  },
  decodeInvoice: {
    method: 'POST',
    path: '/v1/decode-invoice',
    request: z.strictObject({ invoice: z.string().max(16_384) }),
    response: decodedInvoice,
  },
  pay: {
    method: 'POST',
    path: '/v1/pay',
    request: z.strictObject({
      invoice: z.string().max(16_384),
      /** For an invoice without an amount; or to give more, up to the double. */
      amountMsat: msat.optional(),
      waitSeconds: z.int().min(0).max(600).optional(),
      ...sendingLimits,
    }),
    response: payment,
  },
  route: {
    method: 'POST',
    path: '/v1/route',
    request: z.strictObject({
      nodeId,
      amountMsat: msat,
      /** Sends HTLCs that nobody can settle, to see whether the payment would arrive. */
      probe: z.boolean().optional(),
      ...sendingLimits,
    }),
    response: z.object({
      routes: z.array(route),
      amountMsat: msat,
      feeMsat: msat,
      delayBlocks: z.int().min(0),
      probability: z.number().min(0).max(1),
      /** What the probe found. */
      probe: z.object({ reached: z.boolean(), message: z.string() }).optional(),
    }),
  },
  rebalance: {
    method: 'POST',
    path: '/v1/rebalance',
    request: z.strictObject({
      /** Where the payment leaves; any channel where it is absent. */
      fromChannelId: hex(32).optional(),
      /** Where it comes back. */
      toChannelId: hex(32).optional(),
      amountMsat: msat,
      maxFeePpm: z.int().min(0).max(1_000_000),
      waitSeconds: z.int().min(0).max(600).optional(),
    }),
    response: payment,
  },
  setPolicy: {
    method: 'POST',
    path: '/v1/set-policy',
    request: z.strictObject({
      /** All channels where it is absent. */
      channelId: hex(32).optional(),
      ...forwardingPolicy.partial().shape,
    }),
    response: z.object({ policies: z.array(z.object({ channelId: hex(32), policy: forwardingPolicy })) }),
  },
  forwards: {
    method: 'GET',
    path: '/v1/forwards',
    request: z.strictObject({
      /** How many hours back; 24 where it is absent. */
      hours: queryInteger.optional(),
    }),
    response: z.object({
      /** HTLCs that are passed on and not over. */
      pending: z.int().min(0),
      feeMsat: msat,
      settled: z.int().min(0),
      totals: z.array(forwardTotal),
    }),
  },
  network: {
    method: 'GET',
    path: '/v1/network',
    request: none,
    response: z.object({
      nodes: z.int().min(0),
      channels: z.int().min(0),
      /** Whether the first full query of a peer is answered. */
      synced: z.boolean(),
      /** Announcements that wait for their check. */
      pending: z.int().min(0),
    }),
  },
  networkNode: {
    method: 'GET',
    path: '/v1/network-node',
    request: z.strictObject({ nodeId }),
    response: z.object({
      nodeId,
      alias: z.string().optional(),
      addresses: z.array(z.string()),
      features: hex(),
      keysend: z.boolean(),
      channels: z.array(
        z.object({
          shortChannelId: z.string(),
          nodeId,
          capacitySat: sat,
          /** Its own terms. */
          policy: announcedPolicy.optional(),
        }),
      ),
    }),
  },
  payments: {
    method: 'GET',
    path: '/v1/payments',
    request: z.strictObject({
      direction: z.enum(['incoming', 'outgoing']).optional(),
      limit: queryInteger.optional(),
      /** Payments whose sequence is below this: the `next` of the page before. */
      before: queryInteger.optional(),
      /** Payments whose sequence is above this, oldest first: for whoever follows the list. Not with `before`. */
      after: queryInteger.optional(),
    }),
    response: z.object({ payments: z.array(payment), next: z.int().optional() }),
  },
  payment: {
    method: 'GET',
    path: '/v1/payment',
    request: z.strictObject({
      paymentHash: hex(32),
      /** The outgoing one where both are there: a payment to oneself. */
      direction: z.enum(['incoming', 'outgoing']).optional(),
    }),
    response: payment,
  },
  signMessage: {
    method: 'POST',
    path: '/v1/sign-message',
    request: z.strictObject({ message: z.string().max(16_384) }),
    /** By the node's key, as all implementations do it: zbase32, 104 characters. */
    response: z.object({ nodeId, signature: z.string() }),
  },
  mine: {
    method: 'POST',
    path: '/v1/mine',
    request: z.strictObject({ blocks: z.int().min(1).max(1_000), address: z.string().max(100).optional() }),
    response: z.object({ height: z.int().min(0), blockHashes: z.array(hex(32)) }),
  },
  ...abandonmentEndpoints,
  ...walletEndpoints,
  ...towerEndpoints,
  ...keysendEndpoints,
  stop: { method: 'POST', path: '/v1/stop', request: none, response: z.object({}) },
} as const satisfies Record<string, Endpoint>;

/** The stream of events: NDJSON, one NodeEvent a line. */
export const eventsPath = '/v1/events';

export type EndpointName = keyof typeof endpoints;
export type RequestOf<N extends EndpointName> = z.output<(typeof endpoints)[N]['request']>;
export type ResponseOf<N extends EndpointName> = z.output<(typeof endpoints)[N]['response']>;
