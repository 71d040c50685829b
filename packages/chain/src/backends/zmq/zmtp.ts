import { ByteReader, ByteWriter, concatBytes, RivuletError } from '@rivulet/core/bytes';

/*
 * ZMTP 3.0 (rfc.zeromq.org/spec/23) as far as a subscriber needs it: the greeting with the NULL mechanism,
 * frames, and the commands READY, ERROR, PING and PONG. Numbers are big-endian.
 */

export const greetingLength = 64;
const signatureLength = 10;
const moreFlag = 0x01;
const longFlag = 0x02;
const commandFlag = 0x04;
const ascii = new TextEncoder();
const text = new TextDecoder('latin1');

/** The greeting of a peer that is no server and uses no security. */
export function encodeGreeting(): Uint8Array {
  const mechanism = new Uint8Array(20);
  mechanism.set(ascii.encode('NULL'));
  return new ByteWriter(greetingLength)
    .u8(0xff)
    .bytes(new Uint8Array(8))
    .u8(0x7f)
    .u8(3)
    .u8(0)
    .bytes(mechanism)
    .bytes(new Uint8Array(32))
    .finish();
}

/** Why we cannot talk to who sent this greeting; `undefined` where we can. */
export function greetingFault(greeting: Uint8Array): string | undefined {
  if (greeting[0] !== 0xff || ((greeting[signatureLength - 1] ?? 0) & 1) === 0)
    return 'it does not speak ZMTP';
  const major = greeting[signatureLength] ?? 0;
  if (major < 3) return `it speaks ZMTP ${major}, and 3 is needed`;
  const mechanism = text.decode(greeting.subarray(12, 32)).replace(/\0+$/, '');
  return mechanism === 'NULL'
    ? undefined
    : `it asks for the security mechanism ${mechanism}, which is not known here`;
}

export interface ZmtpFrame {
  readonly command: boolean;
  /** Whether the next frame belongs to the same message. */
  readonly more: boolean;
  readonly body: Uint8Array;
}

export function encodeFrame({ command, more, body }: ZmtpFrame): Uint8Array {
  const flags = (command ? commandFlag : 0) | (more ? moreFlag : 0);
  if (body.length <= 255) return concatBytes(Uint8Array.of(flags, body.length), body);
  const head = new ByteWriter(9)
    .u8(flags | longFlag)
    .u64(BigInt(body.length))
    .finish();
  return concatBytes(head, body);
}

function encodeCommand(name: string, data: Uint8Array): Uint8Array {
  const body = concatBytes(Uint8Array.of(name.length), ascii.encode(name), data);
  return encodeFrame({ command: true, more: false, body });
}

/** READY with the type of the socket. */
export function encodeReady(socketType: 'SUB' | 'PUB'): Uint8Array {
  const name = 'Socket-Type';
  const property = new ByteWriter(32)
    .u8(name.length)
    .bytes(ascii.encode(name))
    .u32(socketType.length)
    .bytes(ascii.encode(socketType))
    .finish();
  return encodeCommand('READY', property);
}

/** The answer to a PING, with its context. */
export function encodePong(context: Uint8Array): Uint8Array {
  return encodeCommand('PONG', context);
}

/** A subscription to all messages whose first frame begins with `topic`. */
export function encodeSubscription(topic: string): Uint8Array {
  const body = concatBytes(Uint8Array.of(1), ascii.encode(topic));
  return encodeFrame({ command: false, more: false, body });
}

/** A command's name and what follows it; `undefined` for one without a name. */
export function decodeCommand(body: Uint8Array): { name: string; data: Uint8Array } | undefined {
  const length = body[0] ?? 0;
  if (length === 0 || body.length < 1 + length) return undefined;
  return { name: text.decode(body.subarray(1, 1 + length)), data: body.subarray(1 + length) };
}

/** READY's property of a name, which is not case-sensitive; `undefined` where it is not there or malformed. */
export function readyProperty(data: Uint8Array, wanted: string): string | undefined {
  const reader = new ByteReader(data);
  try {
    while (reader.left > 0) {
      const name = text.decode(reader.bytes(reader.u8()));
      const value = reader.bytes(reader.u32());
      if (name.toLowerCase() === wanted.toLowerCase()) return text.decode(value);
    }
  } catch {
    // Cut short: nothing more is in it.
  }
  return undefined;
}

/** A frame that breaks the protocol or is larger than what is read. */
class FrameFault extends RivuletError<'zmtp_frame'> {
  constructor(message: string) {
    super('zmtp_frame', message);
  }
}

/**
 * Cuts a stream into frames. A body is kept only as far as `keepBytes`: of a block that comes with its
 * notification nothing is needed but that it came.
 */
export class FrameReader {
  readonly #limits: { readonly maxBytes: number; readonly keepBytes: number };
  #head: number[] = [];
  #current: { flags: number; left: number; parts: Uint8Array[]; kept: number } | undefined;

  constructor(limits: { maxBytes: number; keepBytes: number }) {
    this.#limits = limits;
  }

  /** The frames that are complete with these bytes. @throws FrameFault */
  push(bytes: Uint8Array): ZmtpFrame[] {
    const frames: ZmtpFrame[] = [];
    let at = 0;
    while (at < bytes.length || this.#current?.left === 0) {
      if (this.#current === undefined) {
        this.#head.push(bytes[at++] as number);
        this.#readHead();
        continue;
      }
      const current = this.#current;
      const part = bytes.subarray(at, at + current.left);
      const keep = Math.min(part.length, this.#limits.keepBytes - current.kept);
      if (keep > 0) current.parts.push(part.slice(0, keep));
      current.kept += keep;
      current.left -= part.length;
      at += part.length;
      if (current.left > 0) break;
      const { flags, parts } = current;
      this.#current = undefined;
      frames.push({
        command: (flags & commandFlag) !== 0,
        more: (flags & moreFlag) !== 0,
        body: concatBytes(...parts),
      });
    }
    return frames;
  }

  #readHead(): void {
    const flags = this.#head[0] as number;
    if ((flags & ~(moreFlag | longFlag | commandFlag)) !== 0)
      throw new FrameFault('a frame has unknown flags');
    const isLong = (flags & longFlag) !== 0;
    if (this.#head.length < (isLong ? 9 : 2)) return;
    const length = this.#head.slice(1).reduce((value, byte) => value * 256 + byte, 0);
    if (length > this.#limits.maxBytes) throw new FrameFault(`a frame has ${length} bytes`);
    this.#head = [];
    this.#current = { flags, left: length, parts: [], kept: 0 };
  }
}
