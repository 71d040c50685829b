import { ByteReader, ByteWriter, UnexpectedEndError } from '../bytes/index.js';
import { ChannelCodecError, type HtlcReference } from './channelCodec.js';
import type { Htlc, Settlement } from './htlc.js';

const version = 1;
const settlementNames = ['none', 'fulfill', 'fail', 'fail_malformed'] as const;

/**
 * An HTLC's row: what does not change with each commitment. The onion goes when a settlement is there:
 * nobody needs it any more, and it is most of the bytes.
 */
export function encodeHtlc(htlc: Htlc): Uint8Array {
  const { settlement } = htlc;
  const onion = settlement === undefined ? htlc.onion : new Uint8Array(0);
  const writer = new ByteWriter(64 + onion.length);
  writer.u8(version).u64(htlc.amountMsat).bytes(htlc.paymentHash).u32(htlc.cltvExpiry);
  writer.u8(settlementNames.indexOf(settlement?.type ?? 'none'));
  writeSettlement(writer, settlement);
  writer.u16(onion.length).bytes(onion);
  return writer.finish();
}

function writeSettlement(writer: ByteWriter, settlement: Settlement | undefined): void {
  switch (settlement?.type) {
    case undefined:
      return;
    case 'fulfill':
      writer.bytes(settlement.preimage);
      return;
    case 'fail':
      writer.u32(settlement.reason.length).bytes(settlement.reason);
      return;
    case 'fail_malformed':
      writer.bytes(settlement.sha256OfOnion).u16(settlement.failureCode);
  }
}

function readSettlement(reader: ByteReader): Settlement | undefined {
  const type = settlementNames[reader.u8()];
  switch (type) {
    case undefined:
      throw new ChannelCodecError('a stored HTLC has an unknown settlement');
    case 'none':
      return undefined;
    case 'fulfill':
      return { type, preimage: reader.bytes(32) };
    case 'fail':
      return { type, reason: reader.bytes(reader.u32()) };
    case 'fail_malformed':
      return { type, sha256OfOnion: reader.bytes(32), failureCode: reader.u16() };
  }
}

/**
 * What a penalty for a revoked commitment needs of an HTLC that is over: 53 bytes.
 */
export function encodeArchivedHtlc(htlc: Htlc): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u8(version).u64(htlc.amountMsat).bytes(htlc.paymentHash).u32(htlc.cltvExpiry);
  writer.u64(htlc.firstRemoteCommitment ?? 0n);
  return writer.finish();
}

/** An HTLC that is over, as far as it can be found in an old commitment. */
export interface ArchivedHtlc extends HtlcReference {
  readonly amountMsat: bigint;
  readonly paymentHash: Uint8Array;
  readonly cltvExpiry: number;
  readonly firstRemoteCommitment: bigint;
}

function guarded<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof UnexpectedEndError) {
      throw new ChannelCodecError(`a stored ${what} is cut short`, { cause });
    }
    throw cause;
  }
}

function checkVersion(found: number): void {
  if (found !== version) throw new ChannelCodecError(`a stored HTLC has version ${found}, not ${version}`);
}

/** @throws ChannelCodecError for bytes that are no archived HTLC. */
export function decodeArchivedHtlc(bytes: Uint8Array, reference: HtlcReference): ArchivedHtlc {
  return guarded('archived HTLC', () => {
    const reader = new ByteReader(bytes);
    checkVersion(reader.u8());
    return {
      ...reference,
      amountMsat: reader.u64(),
      paymentHash: reader.bytes(32),
      cltvExpiry: reader.u32(),
      firstRemoteCommitment: reader.u64(),
    };
  });
}

/** @throws ChannelCodecError for bytes that are no HTLC. */
export function decodeHtlc(bytes: Uint8Array, { direction, id }: HtlcReference): Omit<Htlc, 'state'> {
  return guarded('HTLC', () => {
    const reader = new ByteReader(bytes);
    checkVersion(reader.u8());
    const amountMsat = reader.u64();
    const paymentHash = reader.bytes(32);
    const cltvExpiry = reader.u32();
    const settlement = readSettlement(reader);
    const onion = reader.bytes(reader.u16());
    return {
      direction,
      id,
      amountMsat,
      paymentHash,
      cltvExpiry,
      onion,
      ...(settlement === undefined ? {} : { settlement }),
    };
  });
}
