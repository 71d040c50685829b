import fc from 'fast-check';
import { deriveChannelSecrets, publicBasepoints } from '../keys/index.js';
import type { BackedUpChannel, ChannelBackup } from './channelBackup.js';

export const seed = new Uint8Array(32).fill(0x51);
const keysOf = (fill: number) =>
  publicBasepoints(deriveChannelSecrets(new Uint8Array(32).fill(fill), new Uint8Array(32).fill(fill)));

const points = [1, 2, 3].map(keysOf);

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const script = fc.uint8Array({ minLength: 0, maxLength: 300 });

const terms = fc.record(
  {
    dustLimitSat: u64,
    maxHtlcValueInFlightMsat: u64,
    channelReserveSat: u64,
    htlcMinimumMsat: u64,
    toSelfDelay: u16,
    maxAcceptedHtlcs: u16,
    upfrontShutdownScript: script,
  },
  {
    requiredKeys: [
      'dustLimitSat',
      'maxHtlcValueInFlightMsat',
      'channelReserveSat',
      'htlcMinimumMsat',
      'toSelfDelay',
      'maxAcceptedHtlcs',
    ],
  },
);

const channel: fc.Arbitrary<BackedUpChannel> = fc.record(
  {
    channelKeyId: bytes(32),
    remoteNodeId: fc.constantFrom(...points.map(({ fundingPubkey }) => fundingPubkey)),
    fundingOutpoint: fc.record({ txid: bytes(32), index: u16 }),
    fundingSat: u64,
    pushMsat: u64,
    minimumDepth: u32,
    format: fc.record({
      commitment: fc.constantFrom('static_remotekey' as const, 'anchors' as const),
      scidAlias: fc.boolean(),
      zeroConf: fc.boolean(),
    }),
    localIsOpener: fc.boolean(),
    announce: fc.boolean(),
    local: terms,
    remote: fc.tuple(terms, fc.constantFrom(...points)).map(([some, keys]) => ({ ...some, ...keys })),
    fundingConfirmed: fc.record({ height: u32, index: u32 }),
    closingScript: script,
    addresses: fc.array(
      fc.record({ host: fc.constantFrom('127.0.0.1', '::1', 'node.example', 'ü.example'), port: u16 }),
      {
        maxLength: 4,
      },
    ),
  },
  {
    requiredKeys: [
      'channelKeyId',
      'remoteNodeId',
      'fundingOutpoint',
      'fundingSat',
      'pushMsat',
      'minimumDepth',
      'format',
      'localIsOpener',
      'announce',
      'local',
      'remote',
      'addresses',
    ],
  },
);

export const backups: fc.Arbitrary<ChannelBackup> = fc.record(
  {
    network: fc.constantFrom('mainnet', 'testnet4', 'signet', 'regtest'),
    nodeId: fc.constantFrom(...points.map(({ htlcBasepoint }) => htlcBasepoint)),
    createdAtMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    height: u32,
    birthHeight: u32,
    walletNext: fc.array(u32, { maxLength: 4 }),
    omitted: u32,
    channels: fc.uniqueArray(channel, {
      maxLength: 5,
      selector: ({ fundingOutpoint }) => `${fundingOutpoint.txid}:${fundingOutpoint.index}`,
    }),
  },
  { requiredKeys: ['network', 'nodeId', 'createdAtMs', 'height', 'walletNext', 'omitted', 'channels'] },
);

/** A backup of this many channels, of ascending capacity. */
export function backupOf(count: number): ChannelBackup {
  const [ours, theirs] = points as [(typeof points)[0], (typeof points)[0]];
  const own = {
    dustLimitSat: 354n,
    maxHtlcValueInFlightMsat: 1_000_000n,
    channelReserveSat: 1_000n,
    htlcMinimumMsat: 1n,
    toSelfDelay: 144,
    maxAcceptedHtlcs: 483,
  };
  return {
    network: 'regtest',
    nodeId: ours.fundingPubkey,
    createdAtMs: 1_700_000_000_000,
    height: 500,
    walletNext: [3, 1, 2, 0],
    omitted: 0,
    channels: Array.from({ length: count }, (_, i): BackedUpChannel => {
      const txid = new Uint8Array(32);
      new DataView(txid.buffer).setUint32(0, i + 1);
      return {
        channelKeyId: txid,
        remoteNodeId: theirs.fundingPubkey,
        fundingOutpoint: { txid, index: 1 },
        fundingSat: 100_000n + BigInt(i),
        pushMsat: 0n,
        minimumDepth: 3,
        format: { commitment: 'anchors', scidAlias: true, zeroConf: false },
        localIsOpener: true,
        announce: false,
        local: own,
        remote: { ...own, ...theirs },
        fundingConfirmed: { height: 400 + i, index: 2 },
        closingScript: new Uint8Array(22),
        addresses: [{ host: '203.0.113.7', port: 9735 }],
      };
    }),
  };
}
