import {
  ByteReader,
  ByteWriter,
  bytesToUtf8,
  RivuletError,
  UnexpectedEndError,
  utf8ToBytes,
} from '../bytes/index.js';
import { ShachainStore } from '../keys/index.js';
import { decodeTransaction, encodeTransaction, type Transaction } from '../tx/index.js';
import type {
  Channel,
  ChannelAnnouncementState,
  ChannelFormat,
  ChannelParams,
  FeeState,
  LocalCommit,
  PartyParams,
  Phase,
  Readiness,
  RemoteCommit,
} from './channel.js';
import { ChannelError, type ErrorResponse, type ProtocolErrorCode } from './channelError.js';
import type { Htlc, HtlcDirection } from './htlc.js';
import { htlcStates } from './htlcState.js';
import { HtlcTable } from './htlcTable.js';

/**
 * How a channel is stored: the channel with the states of its pending HTLCs here, each HTLC's contents in a
 * row of its own (htlcCodec.ts). A version begins the bytes; every version that was ever released
 * stays readable. Version 1 knew no announcement.
 */
const version = 2;
const oldestVersion = 1;

/** Stored bytes that are no channel: the file is damaged or of a newer version. */
export class ChannelCodecError extends RivuletError<'stored_channel_invalid'> {
  constructor(message: string, options?: { cause?: unknown }) {
    super('stored_channel_invalid', message, options);
  }
}

/** What is left of an HTLC in the channel's own bytes; the row has the rest. */
export interface HtlcReference {
  readonly direction: HtlcDirection;
  readonly id: bigint;
}

/** Finds the contents of a pending HTLC by its reference. */
export type HtlcLookup = (reference: HtlcReference) => Omit<Htlc, 'state'> | undefined;

const phaseNames = ['awaiting_ready', 'open', 'closing', 'failed', 'stale', 'spent', 'closed'] as const;
const formatNames = ['static_remotekey', 'anchors'] as const;
const lastSentNames = ['none', 'commitment_signed', 'revoke_and_ack'] as const;

function writeBytes(writer: ByteWriter, bytes: Uint8Array): void {
  writer.u32(bytes.length).bytes(bytes);
}

function readBytes(reader: ByteReader): Uint8Array {
  return reader.bytes(reader.u32());
}

function writeOptional<T>(writer: ByteWriter, value: T | undefined, write: (value: T) => void): void {
  writer.u8(value === undefined ? 0 : 1);
  if (value !== undefined) write(value);
}

function readOptional<T>(reader: ByteReader, read: () => T): T | undefined {
  return readFlag(reader) ? read() : undefined;
}

function writeFlag(writer: ByteWriter, flag: boolean): void {
  writer.u8(flag ? 1 : 0);
}

function readFlag(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) throw new ChannelCodecError(`a flag of a stored channel is ${value}`);
  return value === 1;
}

function readName<T extends string>(reader: ByteReader, names: readonly T[]): T {
  const name = names[reader.u8()];
  if (name === undefined) throw new ChannelCodecError('a stored channel has an unknown name in it');
  return name;
}

function writeName<T extends string>(
  writer: ByteWriter,
  { names, name }: { names: readonly T[]; name: T },
): void {
  writer.u8(names.indexOf(name));
}

function writeText(writer: ByteWriter, text: string): void {
  writeBytes(writer, utf8ToBytes(text));
}

function readText(reader: ByteReader): string {
  return bytesToUtf8(readBytes(reader)) ?? '';
}

function writeParty(writer: ByteWriter, party: PartyParams): void {
  writer
    .u64(party.dustLimitSat)
    .u64(party.maxHtlcValueInFlightMsat)
    .u64(party.channelReserveSat)
    .u64(party.htlcMinimumMsat)
    .u16(party.toSelfDelay)
    .u16(party.maxAcceptedHtlcs)
    .bytes(party.fundingPubkey)
    .bytes(party.revocationBasepoint)
    .bytes(party.paymentBasepoint)
    .bytes(party.delayedPaymentBasepoint)
    .bytes(party.htlcBasepoint);
  writeOptional(writer, party.upfrontShutdownScript, (script) => writeBytes(writer, script));
}

function readParty(reader: ByteReader): PartyParams {
  const party: PartyParams = {
    dustLimitSat: reader.u64(),
    maxHtlcValueInFlightMsat: reader.u64(),
    channelReserveSat: reader.u64(),
    htlcMinimumMsat: reader.u64(),
    toSelfDelay: reader.u16(),
    maxAcceptedHtlcs: reader.u16(),
    fundingPubkey: reader.bytes(33),
    revocationBasepoint: reader.bytes(33),
    paymentBasepoint: reader.bytes(33),
    delayedPaymentBasepoint: reader.bytes(33),
    htlcBasepoint: reader.bytes(33),
  };
  const upfrontShutdownScript = readOptional(reader, () => readBytes(reader));
  return upfrontShutdownScript === undefined ? party : { ...party, upfrontShutdownScript };
}

function writeParams(writer: ByteWriter, params: ChannelParams): void {
  writer.bytes(params.channelId).bytes(params.remoteNodeId);
  writeBytes(writer, params.channelKeyId);
  writeName(writer, { names: formatNames, name: params.format.commitment });
  writeFlag(writer, params.format.scidAlias);
  writeFlag(writer, params.format.zeroConf);
  writeFlag(writer, params.localIsOpener);
  writeFlag(writer, params.announce);
  writer.bytes(params.fundingOutpoint.txid).u32(params.fundingOutpoint.index);
  writer.u64(params.fundingSat).u64(params.pushMsat).u32(params.minimumDepth);
  writeParty(writer, params.local);
  writeParty(writer, params.remote);
}

function readParams(reader: ByteReader): ChannelParams {
  const channelId = reader.bytes(32);
  const remoteNodeId = reader.bytes(33);
  const channelKeyId = readBytes(reader);
  const format: ChannelFormat = {
    commitment: readName(reader, formatNames),
    scidAlias: readFlag(reader),
    zeroConf: readFlag(reader),
  };
  const localIsOpener = readFlag(reader);
  const announce = readFlag(reader);
  const fundingOutpoint = { txid: reader.bytes(32), index: reader.u32() };
  const fundingSat = reader.u64();
  const pushMsat = reader.u64();
  const minimumDepth = reader.u32();
  const local = readParty(reader);
  const remote = readParty(reader);
  return {
    channelId,
    remoteNodeId,
    channelKeyId,
    format,
    localIsOpener,
    announce,
    fundingOutpoint,
    fundingSat,
    pushMsat,
    minimumDepth,
    local,
    remote,
  };
}

function writePhase(writer: ByteWriter, phase: Phase): void {
  writeName(writer, { names: phaseNames, name: phase.name });
  if (phase.name === 'failed') {
    writeText(writer, phase.error.code);
    writeText(writer, phase.error.message);
    writeText(writer, phase.error.response);
  }
  if (phase.name === 'spent') writeBytes(writer, encodeTransaction(phase.by));
}

function readPhase(reader: ByteReader): Phase {
  const name = readName(reader, phaseNames);
  switch (name) {
    case 'failed': {
      const code = readText(reader) as ProtocolErrorCode;
      const message = readText(reader);
      return { name, error: new ChannelError(code, message, readText(reader) as ErrorResponse) };
    }
    case 'spent':
      return { name, by: decodeTransaction(readBytes(reader)) };
    default:
      return { name };
  }
}

function writeFee(writer: ByteWriter, { feeratePerKw, updates }: FeeState): void {
  writer.u32(feeratePerKw).u16(updates.length);
  for (const update of updates) {
    writer.u32(update.feeratePerKw);
    writeName(writer, { names: htlcStates, name: update.state });
  }
}

function readFee(reader: ByteReader): FeeState {
  const feeratePerKw = reader.u32();
  const count = reader.u16();
  const updates = Array.from({ length: count }, () => ({
    feeratePerKw: reader.u32(),
    state: readName(reader, htlcStates),
  }));
  return { feeratePerKw, updates };
}

function writeCommits(
  writer: ByteWriter,
  { localCommit, remoteCommit }: { localCommit: LocalCommit; remoteCommit: RemoteCommit },
): void {
  writer.u64(localCommit.number).bytes(localCommit.signature).u16(localCommit.htlcSignatures.length);
  for (const signature of localCommit.htlcSignatures) writer.bytes(signature);
  writer.u64(remoteCommit.number);
  writeFlag(writer, remoteCommit.awaitingRevocation);
  writer.bytes(remoteCommit.currentPoint);
  writeOptional(writer, remoteCommit.nextPoint, (point) => writer.bytes(point));
}

function readCommits(reader: ByteReader): { localCommit: LocalCommit; remoteCommit: RemoteCommit } {
  const number = reader.u64();
  const signature = reader.bytes(64);
  const count = reader.u16();
  const htlcSignatures = Array.from({ length: count }, () => reader.bytes(64));
  const localCommit: LocalCommit = { number, signature, htlcSignatures };
  const remoteNumber = reader.u64();
  const awaitingRevocation = readFlag(reader);
  const currentPoint = reader.bytes(33);
  const nextPoint = readOptional(reader, () => reader.bytes(33));
  const remoteCommit: RemoteCommit = {
    number: remoteNumber,
    awaitingRevocation,
    currentPoint,
    ...(nextPoint === undefined ? {} : { nextPoint }),
  };
  return { localCommit, remoteCommit };
}

function writeReadiness(writer: ByteWriter, readiness: Readiness): void {
  writeOptional(writer, readiness.fundingConfirmed, ({ height, index }) => writer.u32(height).u32(index));
  writeOptional(writer, readiness.localAlias, (alias) => writer.u64(alias));
  writeFlag(writer, readiness.localSent);
  writeFlag(writer, readiness.remoteReceived);
  writeOptional(writer, readiness.remoteAlias, (alias) => writer.u64(alias));
}

function readReadiness(reader: ByteReader): Readiness {
  const fundingConfirmed = readOptional(reader, () => ({ height: reader.u32(), index: reader.u32() }));
  const localAlias = readOptional(reader, () => reader.u64());
  const localSent = readFlag(reader);
  const remoteReceived = readFlag(reader);
  const remoteAlias = readOptional(reader, () => reader.u64());
  return {
    localSent,
    remoteReceived,
    ...(fundingConfirmed === undefined ? {} : { fundingConfirmed }),
    ...(localAlias === undefined ? {} : { localAlias }),
    ...(remoteAlias === undefined ? {} : { remoteAlias }),
  };
}

function writeAnnouncement(
  writer: ByteWriter,
  { shortChannelId, local, remote }: ChannelAnnouncementState,
): void {
  writer.u64(shortChannelId);
  for (const half of [local, remote]) {
    writeOptional(writer, half, ({ nodeSignature, bitcoinSignature }) =>
      writer.bytes(nodeSignature).bytes(bitcoinSignature),
    );
  }
}

function readAnnouncement(reader: ByteReader): ChannelAnnouncementState {
  const readHalf = () => ({ nodeSignature: reader.bytes(64), bitcoinSignature: reader.bytes(64) });
  const shortChannelId = reader.u64();
  const local = readOptional(reader, readHalf);
  const remote = readOptional(reader, readHalf);
  return {
    shortChannelId,
    ...(local === undefined ? {} : { local }),
    ...(remote === undefined ? {} : { remote }),
  };
}

/** No row holds what the peer proposed and did not commit, and the peer sends it again, with the same ids. */
function isProposedByPeer({ state }: Htlc): boolean {
  return state === 'rcvd_add';
}

function nextCommittedReceivedId({ htlcs, nextReceivedId }: Channel): bigint {
  for (const htlc of htlcs.direction('received')) if (isProposedByPeer(htlc)) return htlc.id;
  return nextReceivedId;
}

function writeHtlcs(writer: ByteWriter, table: HtlcTable): void {
  const htlcs = [...table].filter((htlc) => !isProposedByPeer(htlc));
  writer.u16(htlcs.length);
  for (const htlc of htlcs) {
    writeFlag(writer, htlc.direction === 'received');
    writer.u64(htlc.id);
    writeName(writer, { names: htlcStates, name: htlc.state });
    writeOptional(writer, htlc.firstRemoteCommitment, (number) => writer.u64(number));
    writeFlag(writer, htlc.mustFail !== undefined);
  }
}

function readHtlcs(reader: ByteReader, lookup: HtlcLookup): HtlcTable {
  const count = reader.u16();
  const htlcs: Htlc[] = [];
  for (let i = 0; i < count; i++) {
    const direction: HtlcDirection = readFlag(reader) ? 'received' : 'offered';
    const id = reader.u64();
    const state = readName(reader, htlcStates);
    const firstRemoteCommitment = readOptional(reader, () => reader.u64());
    const mustFail = readFlag(reader);
    const contents = lookup({ direction, id });
    if (contents === undefined) {
      throw new ChannelCodecError(`the stored row of the ${direction} HTLC ${id} is missing`);
    }
    htlcs.push({
      ...contents,
      state,
      ...(firstRemoteCommitment === undefined ? {} : { firstRemoteCommitment }),
      ...(mustFail ? { mustFail: 'dust_exposure' } : {}),
    });
  }
  return HtlcTable.from(htlcs);
}

/**
 * The bytes of a channel, without the contents of its HTLCs, and without the HTLCs that the peer proposed
 * and has not committed: no row is owed to those.
 */
export function encodeChannel(channel: Channel): Uint8Array {
  const writer = new ByteWriter(2048);
  writer.u8(version);
  writeParams(writer, channel.params);
  writePhase(writer, channel.phase);
  writeFlag(writer, channel.dataLost);
  writer.u64(channel.localMsat).u64(channel.remoteMsat);
  writer.u64(channel.nextOfferedId).u64(nextCommittedReceivedId(channel));
  writeFee(writer, channel.fee);
  writeCommits(writer, channel);
  writeBytes(writer, channel.revocations.encode());
  writeName(writer, { names: lastSentNames, name: channel.lastSent });
  writeReadiness(writer, channel.readiness);
  writeOptional(writer, channel.announcement, (announcement) => writeAnnouncement(writer, announcement));
  writeOptional(writer, channel.shutdown.localScript, (script) => writeBytes(writer, script));
  writeOptional(writer, channel.shutdown.remoteScript, (script) => writeBytes(writer, script));
  writer.u16(channel.closingTransactions.length);
  for (const tx of channel.closingTransactions) writeBytes(writer, encodeTransaction(tx));
  writeHtlcs(writer, channel.htlcs);
  return writer.finish();
}

/**
 * Reads a channel back. Other uncommitted updates of the peer are as they were written: `resume` makes of
 * it what a restart needs.
 * @throws ChannelCodecError for bytes that are no channel, or whose HTLC rows are missing.
 */
export function decodeChannel(bytes: Uint8Array, lookup: HtlcLookup): Channel {
  try {
    return readChannel(new ByteReader(bytes), lookup);
  } catch (cause) {
    if (cause instanceof ChannelCodecError) throw cause;
    if (cause instanceof UnexpectedEndError || cause instanceof RivuletError) {
      throw new ChannelCodecError(`a stored channel cannot be read: ${cause.message}`, { cause });
    }
    throw cause;
  }
}

function readTransactions(reader: ByteReader): Transaction[] {
  const count = reader.u16();
  return Array.from({ length: count }, () => decodeTransaction(readBytes(reader)));
}

function readChannel(reader: ByteReader, lookup: HtlcLookup): Channel {
  const found = reader.u8();
  if (found < oldestVersion || found > version) {
    throw new ChannelCodecError(`a stored channel has version ${found}; this Rivulet reads up to ${version}`);
  }
  const params = readParams(reader);
  const phase = readPhase(reader);
  const dataLost = readFlag(reader);
  const localMsat = reader.u64();
  const remoteMsat = reader.u64();
  const nextOfferedId = reader.u64();
  const nextReceivedId = reader.u64();
  const fee = readFee(reader);
  const { localCommit, remoteCommit } = readCommits(reader);
  const revocations = ShachainStore.decode(readBytes(reader));
  const lastSent = readName(reader, lastSentNames);
  const readiness = readReadiness(reader);
  const announcement = found === 1 ? undefined : readOptional(reader, () => readAnnouncement(reader));
  const localScript = readOptional(reader, () => readBytes(reader));
  const remoteScript = readOptional(reader, () => readBytes(reader));
  const closingTransactions = readTransactions(reader);
  const htlcs = readHtlcs(reader, lookup);
  if (reader.left > 0) throw new ChannelCodecError(`a stored channel has ${reader.left} bytes too many`);
  const sum = (direction: HtlcDirection) => {
    let sumMsat = 0n;
    for (const htlc of htlcs.direction(direction)) sumMsat += htlc.amountMsat;
    return sumMsat;
  };
  return {
    params,
    phase,
    link: 'offline',
    simpleClose: false,
    dataLost,
    localMsat,
    remoteMsat,
    htlcs,
    offeredMsat: sum('offered'),
    receivedMsat: sum('received'),
    nextOfferedId,
    nextReceivedId,
    fee,
    localCommit,
    remoteCommit,
    revocations,
    lastSent,
    unsignedChanges: false,
    readiness,
    ...(announcement === undefined ? {} : { announcement }),
    shutdown: {
      localSent: false,
      ...(localScript === undefined ? {} : { localScript }),
      ...(remoteScript === undefined ? {} : { remoteScript }),
    },
    negotiation: {},
    closingTransactions,
  };
}
