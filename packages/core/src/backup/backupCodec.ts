import {
  ByteReader,
  ByteWriter,
  bytesToHex,
  bytesToUtf8,
  RivuletError,
  UnexpectedEndError,
  utf8ToBytes,
} from '../bytes/index.js';
import type { ChannelFormat, PartyParams } from '../channel/index.js';
import { secp256k1 } from '../crypto/index.js';
import { BackupError } from './backupError.js';
import type {
  BackedUpChannel,
  BackupAddress,
  BackupNetwork,
  ChannelBackup,
  OwnTerms,
} from './channelBackup.js';

const formats = ['static_remotekey', 'anchors'] as const satisfies readonly ChannelFormat['commitment'][];
const maxAddresses = 4;

function invalid(what: string, cause?: unknown): BackupError {
  return new BackupError('backup_invalid', `the content of the backup makes no sense: ${what}`, { cause });
}

function writeOptional<T>(writer: ByteWriter, value: T | undefined, write: (value: T) => void): void {
  writer.u8(value === undefined ? 0 : 1);
  if (value !== undefined) write(value);
}

function readFlag(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) throw invalid(`a flag is ${value}`);
  return value === 1;
}

function readOptional<T>(reader: ByteReader, read: () => T): T | undefined {
  return readFlag(reader) ? read() : undefined;
}

function writeShort(writer: ByteWriter, bytes: Uint8Array): void {
  if (bytes.length > 255) throw invalid(`a field has ${bytes.length} bytes`);
  writer.u8(bytes.length).bytes(bytes);
}

function readShort(reader: ByteReader): Uint8Array {
  return reader.bytes(reader.u8());
}

function writeScript(writer: ByteWriter, script: Uint8Array): void {
  if (script.length > 0xffff) throw invalid(`a script has ${script.length} bytes`);
  writer.u16(script.length).bytes(script);
}

function readScript(reader: ByteReader): Uint8Array {
  return reader.bytes(reader.u16());
}

function readPoint(reader: ByteReader): Uint8Array {
  const point = reader.bytes(33);
  if (!secp256k1.isPublicKey(point)) throw invalid('a public key is not on the curve');
  return point;
}

function writeTerms(writer: ByteWriter, terms: OwnTerms): void {
  writer
    .u64(terms.dustLimitSat)
    .u64(terms.maxHtlcValueInFlightMsat)
    .u64(terms.channelReserveSat)
    .u64(terms.htlcMinimumMsat)
    .u16(terms.toSelfDelay)
    .u16(terms.maxAcceptedHtlcs);
  writeOptional(writer, terms.upfrontShutdownScript, (script) => writeScript(writer, script));
}

function readTerms(reader: ByteReader): OwnTerms {
  const terms = {
    dustLimitSat: reader.u64(),
    maxHtlcValueInFlightMsat: reader.u64(),
    channelReserveSat: reader.u64(),
    htlcMinimumMsat: reader.u64(),
    toSelfDelay: reader.u16(),
    maxAcceptedHtlcs: reader.u16(),
  };
  const upfrontShutdownScript = readOptional(reader, () => readScript(reader));
  return upfrontShutdownScript === undefined ? terms : { ...terms, upfrontShutdownScript };
}

function writeRemote(writer: ByteWriter, remote: PartyParams): void {
  writeTerms(writer, remote);
  writer
    .bytes(remote.fundingPubkey)
    .bytes(remote.revocationBasepoint)
    .bytes(remote.paymentBasepoint)
    .bytes(remote.delayedPaymentBasepoint)
    .bytes(remote.htlcBasepoint);
}

function readRemote(reader: ByteReader): PartyParams {
  return {
    ...readTerms(reader),
    fundingPubkey: readPoint(reader),
    revocationBasepoint: readPoint(reader),
    paymentBasepoint: readPoint(reader),
    delayedPaymentBasepoint: readPoint(reader),
    htlcBasepoint: readPoint(reader),
  };
}

function writeAddresses(writer: ByteWriter, addresses: readonly BackupAddress[]): void {
  const kept = addresses.filter(({ host }) => utf8ToBytes(host).length <= 255).slice(0, maxAddresses);
  writer.u8(kept.length);
  for (const { host, port } of kept) {
    writeShort(writer, utf8ToBytes(host));
    writer.u16(port);
  }
}

function readAddresses(reader: ByteReader): BackupAddress[] {
  const count = reader.u8();
  if (count > maxAddresses) throw invalid(`a peer has ${count} addresses`);
  return Array.from({ length: count }, () => {
    const host = bytesToUtf8(readShort(reader));
    if (host === undefined || host === '') throw invalid('an address is no text');
    return { host, port: reader.u16() };
  });
}

function writeChannel(writer: ByteWriter, channel: BackedUpChannel): void {
  writeShort(writer, channel.channelKeyId);
  writer
    .bytes(channel.remoteNodeId)
    .bytes(channel.fundingOutpoint.txid)
    .u32(channel.fundingOutpoint.index)
    .u64(channel.fundingSat)
    .u64(channel.pushMsat)
    .u32(channel.minimumDepth)
    .u8(formats.indexOf(channel.format.commitment));
  for (const flag of [
    channel.format.scidAlias,
    channel.format.zeroConf,
    channel.localIsOpener,
    channel.announce,
  ]) {
    writer.u8(flag ? 1 : 0);
  }
  writeTerms(writer, channel.local);
  writeRemote(writer, channel.remote);
  writeOptional(writer, channel.fundingConfirmed, ({ height, index }) => writer.u32(height).u32(index));
  writeOptional(writer, channel.closingScript, (script) => writeScript(writer, script));
  writeAddresses(writer, channel.addresses);
}

function readChannel(reader: ByteReader): BackedUpChannel {
  const channelKeyId = readShort(reader);
  const remoteNodeId = readPoint(reader);
  const fundingOutpoint = { txid: reader.bytes(32), index: reader.u32() };
  const fundingSat = reader.u64();
  const pushMsat = reader.u64();
  const minimumDepth = reader.u32();
  const commitment = formats[reader.u8()];
  if (commitment === undefined) throw invalid('a channel has an unknown format');
  const format = { commitment, scidAlias: readFlag(reader), zeroConf: readFlag(reader) };
  const localIsOpener = readFlag(reader);
  const announce = readFlag(reader);
  const local = readTerms(reader);
  const remote = readRemote(reader);
  const fundingConfirmed = readOptional(reader, () => ({ height: reader.u32(), index: reader.u32() }));
  const closingScript = readOptional(reader, () => readScript(reader));
  const addresses = readAddresses(reader);
  return {
    channelKeyId,
    remoteNodeId,
    fundingOutpoint,
    fundingSat,
    pushMsat,
    minimumDepth,
    format,
    localIsOpener,
    announce,
    local,
    remote,
    ...(fundingConfirmed === undefined ? {} : { fundingConfirmed }),
    ...(closingScript === undefined ? {} : { closingScript }),
    addresses,
  };
}

/** The bytes of one channel's entry: the same for the same content. */
export function encodeBackedUpChannel(channel: BackedUpChannel): Uint8Array {
  const writer = new ByteWriter(512);
  writeChannel(writer, channel);
  return writer.finish();
}

/**
 * The content of a backup as bytes, without its network, which its header has. The same content gives the same
 * bytes.
 * @throws BackupError `backup_invalid` for a field that no channel has.
 */
export function encodeBackup(backup: ChannelBackup): Uint8Array {
  const writer = new ByteWriter(512 * (1 + backup.channels.length));
  writer.bytes(backup.nodeId).u64(BigInt(backup.createdAtMs)).u32(backup.height);
  writeOptional(writer, backup.birthHeight, (height) => writer.u32(height));
  writer.u8(backup.walletNext.length);
  for (const count of backup.walletNext) writer.u32(count);
  writer.u32(backup.omitted).u32(backup.channels.length);
  for (const channel of backup.channels) writeChannel(writer, channel);
  return writer.finish();
}

function readBackup(reader: ByteReader, network: BackupNetwork): ChannelBackup {
  const nodeId = readPoint(reader);
  const createdAt = reader.u64();
  if (createdAt > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('its time is beyond all times');
  const height = reader.u32();
  const birthHeight = readOptional(reader, () => reader.u32());
  const keychains = reader.u8();
  const walletNext: number[] = [];
  for (let i = 0; i < keychains; i++) walletNext.push(reader.u32());
  const omitted = reader.u32();
  const count = reader.u32();
  const channels: BackedUpChannel[] = [];
  const seen = new Set<string>();
  for (let i = 0; i < count; i++) {
    const channel = readChannel(reader);
    const { txid, index } = channel.fundingOutpoint;
    const outpoint = `${bytesToHex(txid)}:${index}`;
    if (seen.has(outpoint)) throw invalid('it has the same channel twice');
    seen.add(outpoint);
    channels.push(channel);
  }
  if (reader.left > 0) throw invalid(`it has ${reader.left} bytes too many`);
  return {
    network,
    nodeId,
    createdAtMs: Number(createdAt),
    height,
    ...(birthHeight === undefined ? {} : { birthHeight }),
    walletNext,
    omitted,
    channels,
  };
}

/** @throws BackupError `backup_invalid` */
export function decodeBackup(bytes: Uint8Array, network: BackupNetwork): ChannelBackup {
  try {
    return readBackup(new ByteReader(bytes), network);
  } catch (error) {
    if (error instanceof BackupError || !(error instanceof RivuletError)) throw error;
    throw invalid(error instanceof UnexpectedEndError ? 'it ends too early' : error.message, error);
  }
}
