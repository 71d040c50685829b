import {
  ByteReader,
  ByteWriter,
  bytesToHex,
  bytesToUtf8,
  hexToBytes,
  RivuletError,
  readBigSize,
  utf8ToBytes,
  writeBigSize,
} from '../../bytes/index.js';
import type { DirectedChannel, HintHop, Route, RouteHop } from '../../graph/index.js';
import { checkRequest, type PaymentKind, type PaymentRequest } from './paymentRequest.js';
import {
  type Attempt,
  type AttemptFailure,
  type ChannelKnowledge,
  type Knowledge,
  type LearnedPolicy,
  liveMsat,
  type Sending,
} from './sending.js';
import { type SendingFailure, type SendingFailureDetails, sendingFailureCodes } from './sendingFailure.js';

/** Begins the bytes. Every version that was ever released stays readable. */
const version = 1;

const kinds = ['keysend', 'invoice', 'probe'] as const;
const statuses = ['pending', 'succeeded', 'failed'] as const;
const attemptStatuses = ['in_flight', 'fulfilled', 'failed'] as const;

/** Stored bytes that are no payment: the database is damaged, or of a newer version. */
export class SendingCodecError extends RivuletError<'stored_sending_invalid'> {
  constructor(message: string, options?: { cause?: unknown }) {
    super('stored_sending_invalid', message, options);
  }
}

class Writer extends ByteWriter {
  big(value: bigint | number): this {
    writeBigSize(this, BigInt(value));
    return this;
  }

  blob(bytes: Uint8Array): this {
    return this.big(bytes.length).bytes(bytes);
  }

  text(text: string): this {
    return this.blob(utf8ToBytes(text));
  }

  optional<T>(value: T | undefined, write: (value: T) => void): this {
    this.u8(value === undefined ? 0 : 1);
    if (value !== undefined) write(value);
    return this;
  }

  list<T>(items: Iterable<T>, write: (item: T) => void): this {
    const all = [...items];
    this.big(all.length);
    for (const item of all) write(item);
    return this;
  }
}

class Reader extends ByteReader {
  big(): bigint {
    return readBigSize(this);
  }

  /** A BigSize that a number holds exactly. */
  size(): number {
    const value = this.big();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new SendingCodecError(`${value} is out of range`);
    return Number(value);
  }

  blob(): Uint8Array {
    return this.bytes(this.size());
  }

  text(): string {
    const text = bytesToUtf8(this.blob());
    if (text === undefined) throw new SendingCodecError('a text is not UTF-8');
    return text;
  }

  flag(): boolean {
    return this.pick([false, true]);
  }

  pick<T>(values: readonly T[]): T {
    const index = this.u8();
    if (index >= values.length) throw new SendingCodecError(`${index} stands for nothing`);
    return values[index] as T;
  }

  optional<T>(read: () => T): T | undefined {
    return this.flag() ? read() : undefined;
  }

  /** Grows as items are read, each of at least one byte: a count that is only claimed allocates nothing. */
  list<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.size(); left > 0; left--) items.push(read());
    return items;
  }
}

/** What is left of an object without the fields that are `undefined`. */
function defined<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** A payment as a row of a database holds it, its secrets included. */
export function encodeSending(sending: Sending): Uint8Array {
  const { request, status, attempts, preimage, failure, knowledge } = sending;
  const writer = new Writer(512);
  writer.u8(version);
  writeRequest(writer, request);
  writer.u8(statuses.indexOf(status)).big(sending.startedAtMs);
  const nodes = new Map<string, number>();
  for (const { route } of attempts) {
    for (const { nodeId } of route.hops) {
      const key = bytesToHex(nodeId);
      if (!nodes.has(key)) nodes.set(key, nodes.size);
    }
  }
  writer.list(nodes.keys(), (key) => writeNode(writer, key));
  writer.list(attempts, (attempt) => writeAttempt(writer, attempt, nodes));
  writer.optional(preimage, (bytes) => writer.bytes(bytes));
  writer.optional(failure, (value) => writeFailure(writer, value));
  writeKnowledge(writer, knowledge);
  return writer.finish();
}

/** @throws SendingCodecError for bytes that are no payment. */
export function decodeSending(bytes: Uint8Array): Sending {
  try {
    const reader = new Reader(bytes);
    const found = reader.u8();
    if (found !== version) {
      throw new SendingCodecError(`the payment is stored in version ${found}, and ${version} is known`);
    }
    const sending = readSending(reader);
    if (reader.left > 0) throw new SendingCodecError(`${reader.left} bytes are left over`);
    checkRequest(sending.request);
    if (liveMsat(sending) > sending.request.amountMsat) {
      throw new SendingCodecError('more is on the way than the payment is worth');
    }
    return sending;
  } catch (cause) {
    if (cause instanceof SendingCodecError || !(cause instanceof RivuletError)) throw cause;
    throw new SendingCodecError(`a stored payment cannot be read: ${cause.message}`, { cause });
  }
}

function readSending(reader: Reader): Sending {
  const request = readRequest(reader);
  const status = reader.pick(statuses);
  const startedAtMs = reader.size();
  const nodes = reader.list(() => reader.bytes(33));
  let id = 0;
  const attempts = reader.list(() => readAttempt(reader, { id: id++, nodes }));
  const preimage = reader.optional(() => reader.bytes(32));
  const failure = reader.optional(() => readFailure(reader));
  const knowledge = readKnowledge(reader);
  return defined<Sending>({ request, status, startedAtMs, attempts, preimage, failure, knowledge });
}

function writeRequest(writer: Writer, request: PaymentRequest): void {
  writer.bytes(request.paymentHash).bytes(request.destination).big(request.amountMsat);
  writeKind(writer, request.kind);
  writer.optional(request.paymentSecret, (secret) => writer.bytes(secret));
  writer.list(request.customRecords, ([type, value]) => writer.big(type).blob(value));
  writer.u16(request.finalCltvDelta);
  writer.list(request.hints, (hint) => writer.list(hint, (hop) => writeHintHop(writer, hop)));
  writer.big(request.maxFeeMsat).u16(request.maxCltvDelta).u8(request.maxParts).u16(request.maxAttempts);
  writer.big(request.deadlineMs);
  writer.optional(request.firstHops, (ids) => writer.list(ids, (id) => writer.u64(id)));
  writer.optional(request.excludedNodes, (ids) => writer.list(ids, (id) => writeNode(writer, id)));
  writer.optional(request.excludedChannels, (ids) => writer.list(ids, (id) => writeChannel(writer, id)));
}

function readRequest(reader: Reader): PaymentRequest {
  return defined<PaymentRequest>({
    paymentHash: reader.bytes(32),
    destination: reader.bytes(33),
    amountMsat: reader.big(),
    kind: readKind(reader),
    paymentSecret: reader.optional(() => reader.bytes(32)),
    customRecords: new Map(reader.list(() => [reader.big(), reader.blob()] as const)),
    finalCltvDelta: reader.u16(),
    hints: reader.list(() => reader.list(() => readHintHop(reader))),
    maxFeeMsat: reader.big(),
    maxCltvDelta: reader.u16(),
    maxParts: reader.u8(),
    maxAttempts: reader.u16(),
    deadlineMs: reader.size(),
    firstHops: reader.optional(() => new Set(reader.list(() => reader.u64()))),
    excludedNodes: reader.optional(() => new Set(reader.list(() => readNode(reader)))),
    excludedChannels: reader.optional(() => new Set(reader.list(() => readChannel(reader)))),
  });
}

function writeKind(writer: Writer, kind: PaymentKind): void {
  writer.u8(kinds.indexOf(kind.type));
  switch (kind.type) {
    case 'keysend':
      writer.bytes(kind.preimage);
      return;
    case 'invoice':
      writer.bytes(kind.paymentSecret);
      writer.optional(kind.paymentMetadata, (metadata) => writer.blob(metadata));
      return;
    case 'probe':
      return;
    default:
      kind satisfies never;
  }
}

function readKind(reader: Reader): PaymentKind {
  const type = reader.pick(kinds);
  switch (type) {
    case 'keysend':
      return { type, preimage: reader.bytes(32) };
    case 'invoice':
      return defined<Extract<PaymentKind, { type: 'invoice' }>>({
        type,
        paymentSecret: reader.bytes(32),
        paymentMetadata: reader.optional(() => reader.blob()),
      });
    case 'probe':
      return { type };
  }
}

function writeHintHop(writer: Writer, hop: HintHop): void {
  writer.bytes(hop.nodeId).u64(hop.shortChannelId).u32(hop.feeBaseMsat).u32(hop.feeProportionalMillionths);
  writer.u16(hop.cltvExpiryDelta);
  writer.optional(hop.htlcMinimumMsat, (amount) => writer.big(amount));
  writer.optional(hop.htlcMaximumMsat, (amount) => writer.big(amount));
}

function readHintHop(reader: Reader): HintHop {
  return defined<HintHop>({
    nodeId: reader.bytes(33),
    shortChannelId: reader.u64(),
    feeBaseMsat: reader.u32(),
    feeProportionalMillionths: reader.u32(),
    cltvExpiryDelta: reader.u16(),
    htlcMinimumMsat: reader.optional(() => reader.big()),
    htlcMaximumMsat: reader.optional(() => reader.big()),
  });
}

function writeNode(writer: Writer, nodeHex: string): void {
  writer.bytes(hexToBytes(nodeHex));
}

function readNode(reader: Reader): string {
  return bytesToHex(reader.bytes(33));
}

function writeChannel(writer: Writer, channel: DirectedChannel): void {
  const [id, direction] = channel.split('/') as [string, string];
  writer.u64(BigInt(id)).u8(Number(direction));
}

function readChannel(reader: Reader): DirectedChannel {
  return `${reader.u64()}/${reader.pick([0, 1] as const)}`;
}

function writeAttempt(writer: Writer, attempt: Attempt, nodes: ReadonlyMap<string, number>): void {
  const { route } = attempt;
  writer.u8(attemptStatuses.indexOf(attempt.status)).u32(attempt.blockHeight).big(attempt.startedAtMs);
  writer.optional(attempt.endedAtMs, (ms) => writer.big(ms));
  writer.optional(attempt.failure, (failure) => writeAttemptFailure(writer, failure));
  writer.list(route.hops, (hop) => {
    writer
      .big(nodes.get(bytesToHex(hop.nodeId)) as number)
      .u64(hop.shortChannelId)
      .u8(hop.direction);
    writer.big(hop.amountMsat).u16(hop.cltvDelta);
  });
  writer.big(route.amountMsat).big(route.feeMsat).bytes(doubleToBytes(route.probability));
}

function readAttempt(reader: Reader, { id, nodes }: { id: number; nodes: readonly Uint8Array[] }): Attempt {
  return defined<Attempt>({
    id,
    status: reader.pick(attemptStatuses),
    blockHeight: reader.u32(),
    startedAtMs: reader.size(),
    endedAtMs: reader.optional(() => reader.size()),
    failure: reader.optional(() => readAttemptFailure(reader)),
    route: readRoute(reader, nodes),
  });
}

function readRoute(reader: Reader, nodes: readonly Uint8Array[]): Route {
  const hops = reader.list((): RouteHop => {
    const nodeId = nodes[reader.size()];
    if (nodeId === undefined) throw new SendingCodecError('a hop names a node that is not there');
    return {
      nodeId,
      shortChannelId: reader.u64(),
      direction: reader.pick([0, 1] as const),
      amountMsat: reader.big(),
      cltvDelta: reader.u16(),
    };
  });
  if (hops.length === 0) throw new SendingCodecError('a route has no hop');
  return {
    hops,
    amountMsat: reader.big(),
    feeMsat: reader.big(),
    probability: bytesToDouble(reader.bytes(8)),
  };
}

function doubleToBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

function bytesToDouble(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0);
}

function writeAttemptFailure(writer: Writer, { cause, hopIndex, text }: AttemptFailure): void {
  writer.text(cause);
  writer.optional(hopIndex, (index) => writer.u8(index));
  writer.optional(text, (value) => writer.text(value));
}

function readAttemptFailure(reader: Reader): AttemptFailure {
  return defined<AttemptFailure>({
    cause: reader.text(),
    hopIndex: reader.optional(() => reader.u8()),
    text: reader.optional(() => reader.text()),
  });
}

function writeFailure(writer: Writer, { code, text, details }: SendingFailure): void {
  writer.u8(sendingFailureCodes.indexOf(code)).text(text).big(details.attempts);
  writer.optional(details.feeMsat, (amount) => writer.big(amount));
  writer.optional(details.cltvDelta, (blocks) => writer.big(blocks));
  writer.optional(details.spendableMsat, (amount) => writer.big(amount));
  writer.optional(details.roomBytes, (count) => writer.big(count));
  writer.optional(details.cause, (cause) => writer.text(cause));
  writer.optional(details.node, (node) => writeNode(writer, node));
  writer.optional(details.channel, (channel) => writeChannel(writer, channel));
}

function readFailure(reader: Reader): SendingFailure {
  return {
    code: reader.pick(sendingFailureCodes),
    text: reader.text(),
    details: defined<SendingFailureDetails>({
      attempts: reader.size(),
      feeMsat: reader.optional(() => reader.big()),
      cltvDelta: reader.optional(() => reader.size()),
      spendableMsat: reader.optional(() => reader.big()),
      roomBytes: reader.optional(() => reader.size()),
      cause: reader.optional(() => reader.text()),
      node: reader.optional(() => readNode(reader)),
      channel: reader.optional(() => readChannel(reader)),
    }),
  };
}

function writeKnowledge(writer: Writer, knowledge: Knowledge): void {
  writer.list(knowledge.excludedNodes, (node) => writeNode(writer, node));
  writer.list(knowledge.excludedChannels, (channel) => writeChannel(writer, channel));
  writer.list(knowledge.channels, ([channel, known]) => {
    writeChannel(writer, channel);
    writer.optional(known.refusedMsat, (amount) => writer.big(amount));
    writer.big(known.refusals);
    writer.optional(known.policy, (policy) => writePolicy(writer, policy));
  });
  writer.list(knowledge.firstHopBelowMsat, ([id, below]) => writer.u64(id).big(below));
  writer.list(knowledge.strikes, ([node, count]) => {
    writeNode(writer, node);
    writer.big(count);
  });
  writer.u8(knowledge.partsLimit).u8(knowledge.withoutPadding ? 1 : 0);
}

function readKnowledge(reader: Reader): Knowledge {
  return {
    excludedNodes: new Set(reader.list(() => readNode(reader))),
    excludedChannels: new Set(reader.list(() => readChannel(reader))),
    channels: new Map(reader.list(() => [readChannel(reader), readChannelKnowledge(reader)] as const)),
    firstHopBelowMsat: new Map(reader.list(() => [reader.u64(), reader.big()] as const)),
    strikes: new Map(reader.list(() => [readNode(reader), reader.size()] as const)),
    partsLimit: reader.u8(),
    withoutPadding: reader.flag(),
  };
}

function readChannelKnowledge(reader: Reader): ChannelKnowledge {
  return defined<ChannelKnowledge>({
    refusedMsat: reader.optional(() => reader.big()),
    refusals: reader.size(),
    policy: reader.optional(() => readPolicy(reader)),
  });
}

function writePolicy(writer: Writer, policy: LearnedPolicy): void {
  writer.u32(policy.feeBaseMsat).u32(policy.feeProportionalMillionths).u16(policy.cltvExpiryDelta);
  writer.u64(policy.htlcMinimumMsat).u64(policy.htlcMaximumMsat);
}

function readPolicy(reader: Reader): LearnedPolicy {
  return {
    feeBaseMsat: reader.u32(),
    feeProportionalMillionths: reader.u32(),
    cltvExpiryDelta: reader.u16(),
    htlcMinimumMsat: reader.u64(),
    htlcMaximumMsat: reader.u64(),
  };
}
