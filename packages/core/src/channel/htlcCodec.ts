import { ByteReader, ByteWriter, UnexpectedEndError } from '../bytes/index.js';
import { ChannelCodecError, type HtlcReference } from './channelCodec.js';
import { attributionDataLength, type Htlc, type Settlement } from './htlc.js';

/** Version 1 knew neither attribution data nor path keys. */
const version = 2;
const oldestVersion = 1;
const archivedVersion = 1;
const settlementNames = ['none', 'fulfill', 'fail', 'fail_malformed'] as const;

/**
 * An HTLC's row: what does not change with each commitment. The onion and its path key go when a settlement
 * is there: nobody needs them any more, and the onion is most of the bytes.
 */
export function encodeHtlc(htlc: Htlc): Uint8Array {
  const { settlement } = htlc;
  const onion = settlement === undefined ? htlc.onion : new Uint8Array(0);
  const pathKey = settlement === undefined ? htlc.pathKey : undefined;
  const writer = new ByteWriter(64 + onion.length);
  writer.u8(version).u64(htlc.amountMsat).bytes(htlc.paymentHash).u32(htlc.cltvExpiry);
  writer.u8(settlementNames.indexOf(settlement?.type ?? 'none'));
  writeSettlement(writer, settlement);
  writer.u16(onion.length).bytes(onion);
  writer.u8(pathKey === undefined ? 0 : 1);
  if (pathKey !== undefined) writer.bytes(pathKey);
  return writer.finish();
}

function writeAttribution(writer: ByteWriter, attributionData: Uint8Array | undefined): void {
  const kept = attributionData?.length === attributionDataLength ? attributionData : undefined;
  writer.u8(kept === undefined ? 0 : 1);
  if (kept !== undefined) writer.bytes(kept);
}

/** Reads what a flag says is there, or nothing. */
function readFlagged(reader: ByteReader, length: number): Uint8Array | undefined {
  const flag = reader.u8();
  if (flag > 1) throw new ChannelCodecError(`a flag of a stored HTLC is ${flag}`);
  return flag === 1 ? reader.bytes(length) : undefined;
}

function writeSettlement(writer: ByteWriter, settlement: Settlement | undefined): void {
  switch (settlement?.type) {
    case undefined:
      return;
    case 'fulfill':
      writer.bytes(settlement.preimage);
      writeAttribution(writer, settlement.attributionData);
      return;
    case 'fail':
      writer.u32(settlement.reason.length).bytes(settlement.reason);
      writeAttribution(writer, settlement.attributionData);
      return;
    case 'fail_malformed':
      writer.bytes(settlement.sha256OfOnion).u16(settlement.failureCode);
  }
}

function readAttribution(reader: ByteReader, found: number): { readonly attributionData?: Uint8Array } {
  const attributionData = found === 1 ? undefined : readFlagged(reader, attributionDataLength);
  return attributionData === undefined ? {} : { attributionData };
}

function readSettlement(reader: ByteReader, found: number): Settlement | undefined {
  const type = settlementNames[reader.u8()];
  switch (type) {
    case undefined:
      throw new ChannelCodecError('a stored HTLC has an unknown settlement');
    case 'none':
      return undefined;
    case 'fulfill':
      return { type, preimage: reader.bytes(32), ...readAttribution(reader, found) };
    case 'fail':
      return { type, reason: reader.bytes(reader.u32()), ...readAttribution(reader, found) };
    case 'fail_malformed':
      return { type, sha256OfOnion: reader.bytes(32), failureCode: reader.u16() };
  }
}

/**
 * What a penalty for a revoked commitment needs of an HTLC that is over: 53 bytes.
 */
export function encodeArchivedHtlc(htlc: Htlc): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u8(archivedVersion).u64(htlc.amountMsat).bytes(htlc.paymentHash).u32(htlc.cltvExpiry);
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

function readVersion(reader: ByteReader, { from, to }: { from: number; to: number }): number {
  const found = reader.u8();
  if (found < from || found > to) {
    throw new ChannelCodecError(`a stored HTLC has version ${found}; this Rivulet reads up to ${to}`);
  }
  return found;
}

/** @throws ChannelCodecError for bytes that are no archived HTLC. */
export function decodeArchivedHtlc(bytes: Uint8Array, reference: HtlcReference): ArchivedHtlc {
  return guarded('archived HTLC', () => {
    const reader = new ByteReader(bytes);
    readVersion(reader, { from: archivedVersion, to: archivedVersion });
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
    const found = readVersion(reader, { from: oldestVersion, to: version });
    const amountMsat = reader.u64();
    const paymentHash = reader.bytes(32);
    const cltvExpiry = reader.u32();
    const settlement = readSettlement(reader, found);
    const onion = reader.bytes(reader.u16());
    const pathKey = found === 1 ? undefined : readFlagged(reader, 33);
    return {
      direction,
      id,
      amountMsat,
      paymentHash,
      cltvExpiry,
      onion,
      ...(pathKey === undefined ? {} : { pathKey }),
      ...(settlement === undefined ? {} : { settlement }),
    };
  });
}
