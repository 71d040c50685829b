import { ByteReader, ByteWriter, RivuletError, UnexpectedEndError } from '../bytes/index.js';

const version = 1;
const hasPreimage = 1;
const hasReceivedAt = 2;

/** Stored bytes that are no forward: the file is damaged or of a newer version. */
export class PendingForwardError extends RivuletError<'stored_forward_invalid'> {
  constructor(message: string, options?: { cause?: unknown }) {
    super('stored_forward_invalid', message, options);
  }
}

/** Names an HTLC that we received: 32 bytes, and the id that the peer gave it. */
export interface IncomingReference {
  readonly channelId: Uint8Array;
  readonly htlcId: bigint;
}

/**
 * An HTLC that was passed on. It is written in the transaction that offers the outgoing HTLC and goes in the
 * one in which the incoming HTLC is over, so that after a crash at any point both are known to belong together.
 */
export interface PendingForward {
  readonly incoming: IncomingReference & {
    readonly amountMsat: bigint;
    readonly cltvExpiry: number;
    /** Of its onion: failures and attribution data are wrapped with it. */
    readonly sharedSecret: Uint8Array;
  };
  readonly outgoing: {
    readonly channelId: Uint8Array;
    readonly htlcId: bigint;
    readonly amountMsat: bigint;
    readonly cltvExpiry: number;
  };
  /**
   * From when the outgoing peer, or the chain, showed it. It is written before anything is done with it, and
   * from then on the incoming HTLC is never failed.
   */
  readonly preimage?: Uint8Array;
  /** Milliseconds since 1970, for hold times. */
  readonly receivedAtMs?: number;
}

/** A row for the forward; the reference to its incoming HTLC is the row's key and not in it. */
export function encodePendingForward({
  incoming,
  outgoing,
  preimage,
  receivedAtMs,
}: PendingForward): Uint8Array {
  const flags = (preimage === undefined ? 0 : hasPreimage) | (receivedAtMs === undefined ? 0 : hasReceivedAt);
  const writer = new ByteWriter(160);
  writer.u8(version).u8(flags);
  writer.u64(incoming.amountMsat).u32(incoming.cltvExpiry).bytes(incoming.sharedSecret);
  writer.bytes(outgoing.channelId).u64(outgoing.htlcId).u64(outgoing.amountMsat).u32(outgoing.cltvExpiry);
  if (preimage !== undefined) writer.bytes(preimage);
  if (receivedAtMs !== undefined) writer.u64(BigInt(Math.trunc(receivedAtMs)));
  return writer.finish();
}

/** @throws PendingForwardError for bytes that are no forward. */
export function decodePendingForward(bytes: Uint8Array, reference: IncomingReference): PendingForward {
  const reader = new ByteReader(bytes);
  try {
    const found = reader.u8();
    if (found !== version) {
      throw new PendingForwardError(`a stored forward has version ${found}, not ${version}`);
    }
    const flags = reader.u8();
    if ((flags & ~(hasPreimage | hasReceivedAt)) !== 0) {
      throw new PendingForwardError(`a stored forward has unknown flags (${flags})`);
    }
    const forward: PendingForward = {
      incoming: {
        channelId: reference.channelId,
        htlcId: reference.htlcId,
        amountMsat: reader.u64(),
        cltvExpiry: reader.u32(),
        sharedSecret: reader.bytes(32),
      },
      outgoing: {
        channelId: reader.bytes(32),
        htlcId: reader.u64(),
        amountMsat: reader.u64(),
        cltvExpiry: reader.u32(),
      },
      ...((flags & hasPreimage) === 0 ? {} : { preimage: reader.bytes(32) }),
      ...((flags & hasReceivedAt) === 0 ? {} : { receivedAtMs: Number(reader.u64()) }),
    };
    if (reader.left > 0) throw new PendingForwardError(`a stored forward has ${reader.left} bytes too many`);
    return forward;
  } catch (cause) {
    if (!(cause instanceof UnexpectedEndError)) throw cause;
    throw new PendingForwardError('a stored forward is cut short', { cause });
  }
}
