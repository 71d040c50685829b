import { z } from 'zod';
import {
  addressList,
  amount,
  boolean,
  channelIdList,
  choice,
  hostName,
  httpUrlList,
  integer,
  nameList,
  pathList,
  text,
  zmqUrl,
} from './configFields.js';

const maxSat = 2_100_000_000_000_000n;
const port = integer(0, 65_535);
const loopback = z.enum(['127.0.0.1', '::1', 'localhost'], 'expected 127.0.0.1, ::1 or localhost');

/**
 * Every setting, once: its key in `rivulet.json`, its kind, its default and what it means. The names of
 * environment variables and flags follow from the keys (see configKeys).
 */
export const settings = z.strictObject({
  dataDir: text.describe('the folder of keys, database, settings and log'),
  network: choice(['regtest', 'signet', 'testnet4', 'mainnet'])
    .default('regtest')
    .describe('the Bitcoin network'),
  iUnderstandTheRisk: boolean
    .default(false)
    .describe('allows mainnet: this software may lose the money that it holds'),
  birthHeight: integer(0, 10_000_000)
    .optional()
    .describe(
      'first start with words of an earlier wallet: the block from which its coins are looked for; without it the chain is searched for them',
    ),
  alias: text
    .refine((value) => Buffer.byteLength(value) <= 32, 'expected at most 32 bytes of UTF-8')
    .default('rivulet')
    .describe('the name that others see'),
  color: text
    .regex(/^#?[0-9a-fA-F]{6}$/, 'expected six hex digits, as in #3399ff')
    .default('#3399ff')
    .describe('the colour that others see in maps of the network'),
  addresses: addressList
    .default([])
    .describe('where others can connect, for announced channels: host:port,… (IPv4, [IPv6], .onion, DNS)'),
  logLevel: choice(['silent', 'error', 'warn', 'info', 'debug', 'trace'])
    .default('info')
    .describe('how much is written to the log'),
  reconnect: boolean.default(true).describe('dial peers that we have channels with whenever they are gone'),
  listen: z
    .strictObject({
      enabled: boolean.default(true).describe('whether peers can connect to us'),
      host: hostName.default('127.0.0.1').describe('the address on which peers connect; 0.0.0.0 for all'),
      port: port.default(9735).describe('the port on which peers connect; 0 for any that is free'),
    })
    .prefault({}),
  api: z
    .strictObject({
      host: loopback.default('127.0.0.1').describe('the loopback address of the API'),
      port: port.default(9736).describe('the port of the API; 0 for any that is free'),
    })
    .prefault({}),
  chain: z
    .strictObject({
      type: choice(['embedded', 'bitcoind', 'esplora'])
        .default('embedded')
        .describe('where blocks come from; embedded: a regtest chain inside this process'),
      url: httpUrlList
        .optional()
        .describe(
          "bitcoind's RPC; or the Esplora server, better several that know nothing of each other: url,…",
        ),
      cookiePath: text.optional().describe("bitcoind's .cookie file"),
      user: text.optional().describe("bitcoind's rpcuser"),
      password: text.optional().describe("bitcoind's rpcpassword"),
      zmqUrl: zmqUrl
        .optional()
        .describe("bitcoind's zmqpubhashblock or zmqpubrawblock: blocks are known at once, without asking"),
      stallMinutes: integer(0, 10_080)
        .optional()
        .describe(
          'without a new block for so long the chain counts as stalled, and the node as not synced; 0: never; by default 180, and never on regtest',
        ),
      rpcPort: port.default(0).describe('embedded: the port on which it serves bitcoind RPC to others'),
      esploraPort: port.default(0).describe('embedded: the port on which it serves Esplora to others'),
    })
    .prefault({}),
  keysend: z
    .strictObject({
      accept: boolean.default(false).describe('take spontaneous payments'),
      minAmountMsat: amount(0n, maxSat * 1000n)
        .default(1n)
        .describe('refuse spontaneous payments below this'),
    })
    .prefault({}),
  address: z
    .strictObject({
      enabled: boolean
        .default(false)
        .describe('answer for keysend addresses (name@domain), and give receipts, over HTTP'),
      host: hostName
        .default('127.0.0.1')
        .describe('where that is answered; a web server with TLS stands before it'),
      port: port.default(9737).describe('the port where that is answered; 0 for any that is free'),
      domain: hostName
        .optional()
        .describe('the domain of the addresses: with it, hints to private channels are signed and given'),
      names: nameList.default([]).describe('the names that stand for this node: name,…'),
    })
    .prefault({}),
  disk: z
    .strictObject({
      reserveMb: integer(0, 100_000)
        .optional()
        .describe('megabytes put aside for the day when the disk is full; 64, and 4 on regtest'),
      lowMb: integer(0, 1_000_000).default(1_000).describe('warn when fewer megabytes than this are free'),
      stopMb: integer(0, 1_000_000)
        .default(200)
        .describe('begin no payment and no channel when fewer megabytes than this are free'),
    })
    .prefault({}),
  databaseCopy: z
    .strictObject({
      folder: text.optional().describe('keep a live copy of the database in this folder, on another disk'),
      required: boolean
        .default(false)
        .describe('rather stop than go on without that copy; otherwise only a warning is given'),
    })
    .prefault({}),
  backup: z
    .strictObject({
      paths: pathList
        .default([])
        .describe(
          'further places for the backup of the channels, beside the data folder: file,… or folder,… (a stick, another disk)',
        ),
      peerStorage: boolean
        .default(true)
        .describe('have peers keep the encrypted backup of the channels as well'),
    })
    .prefault({}),
  tower: z
    .strictObject({
      enabled: boolean.default(false).describe('run a watchtower for others inside this daemon'),
      host: hostName.default('127.0.0.1').describe('the address on which its users connect; 0.0.0.0 for all'),
      port: port.default(9814).describe('the port on which its users connect; 0 for any that is free'),
      slots: integer(1, 1_000_000)
        .default(10_000)
        .describe('appointments that one registration with the tower gives'),
      subscriptionBlocks: integer(6, 210_000)
        .default(4_320)
        .describe('blocks that one registration with the tower lasts'),
      maxUsers: integer(1, 10_000_000).default(10_000).describe('users that the tower takes on'),
      maxStorageMb: integer(1, 10_000_000)
        .default(10_000)
        .describe('megabytes that the tower keeps for its users'),
      feeBudgetSat: amount(0n, maxSat)
        .default(0n)
        .describe(
          'satoshis of this wallet that may pay in a day for penalties that are not mined; users can make it pay that much',
        ),
    })
    .prefault({}),
  channels: z
    .strictObject({
      type: choice(['anchors', 'static_remotekey'])
        .default('anchors')
        .describe('the commitment format of new channels, where the peer has it'),
      minFundingSat: amount(1_000n, maxSat)
        .default(20_000n)
        .describe('the smallest channel that a peer may open'),
      maxFundingSat: amount(1_000n, maxSat)
        .default(1_000_000_000n)
        .describe('the largest channel that a peer may open'),
      toSelfDelay: integer(1, 2_016)
        .default(144)
        .describe("blocks for which a peer's own money is delayed when it force-closes"),
      dustLimitSat: amount(354n, 1_000n).default(354n).describe('outputs below this are left to the miners'),
      maxHtlcValueInFlightMsat: amount(1_000n, maxSat * 1000n)
        .optional()
        .describe('what a peer may have under way to us at once; the whole channel by default'),
      maxAcceptedHtlcs: integer(1, 483)
        .default(483)
        .describe('payments that a peer may have under way to us at once'),
      htlcMinimumMsat: amount(0n, maxSat * 1000n)
        .default(1n)
        .describe('the smallest payment over a channel'),
      watchDepth: integer(6, 144)
        .optional()
        .describe('blocks for which a closed channel is still watched on chain; 100, and 6 on regtest'),
      acceptAnnounced: boolean.default(true).describe('whether peers may open channels that all can see'),
      minimumDepth: integer(1, 144).default(3).describe('confirmations before a new channel is used'),
      maxDustExposureMsat: amount(0n, maxSat * 1000n)
        .default(50_000_000n)
        .describe('what may be lost to miners if a channel with many tiny payments is closed'),
      acceptZeroConf: boolean
        .default(false)
        .describe('use channels of peers before they confirm: trusts every peer not to double-spend'),
    })
    .prefault({}),
  payments: z
    .strictObject({
      maxFeePercent: integer(0, 100)
        .default(5)
        .describe('what a payment above 1,000 sat may cost, unless it says so itself'),
      maxDelayBlocks: integer(144, 2_016)
        .default(1_008)
        .describe('how many blocks a payment may be locked, unless it says so itself'),
      timeoutSeconds: integer(1, 3_600)
        .default(60)
        .describe('for how long a payment looks for other routes after one failed'),
    })
    .prefault({}),
  forwarding: z
    .strictObject({
      enabled: boolean.default(true).describe('pass on payments of others'),
      feeBaseMsat: integer(0, 0xffff_ffff).default(1_000).describe('what we take for each forwarded payment'),
      feePpm: integer(0, 1_000_000).default(100).describe('what we take of each million forwarded'),
      cltvExpiryDelta: integer(34, 2_016)
        .default(80)
        .describe('blocks that we need between an incoming and an outgoing payment'),
      maxPendingPerPeer: integer(1, 4_830)
        .default(483)
        .describe('payments of one peer that may be passed on and not over at once'),
      maxPendingMsatPerPeer: amount(1n, maxSat * 1000n)
        .default(100_000_000_000n)
        .describe('their value together'),
    })
    .prefault({}),
  gossip: z
    .strictObject({
      enabled: boolean.default(true).describe('learn the network from peers, and pass on what was checked'),
      checkFunding: boolean
        .default(true)
        .describe('look on chain for the funding of every announced channel before it is believed'),
    })
    .prefault({}),
  rebalance: z
    .strictObject({
      enabled: boolean.default(false).describe('keep channels in a band by payments to ourselves'),
      minLocalPercent: integer(0, 50)
        .default(25)
        .describe('a channel with less than this share on our side is filled'),
      maxLocalPercent: integer(50, 100)
        .default(75)
        .describe('a channel with more than this share on our side is drained'),
      channels: channelIdList
        .default([])
        .describe('the channel ids, in full, that are kept so: id,…; all announced ones by default'),
      maxFeePpm: integer(0, 1_000_000).default(200).describe('the most that one rebalancing may cost'),
      dailyBudgetSat: amount(0n, maxSat).default(1_000n).describe('the most that a day of it may cost'),
      intervalMinutes: integer(1, 1_440).default(10).describe('how often it is looked at'),
    })
    .prefault({}),
});

export type Settings = z.output<typeof settings>;

/** Settings whose value never appears in a message, a log or an answer. */
export const secretKeys: ReadonlySet<string> = new Set(['chain.password']);
