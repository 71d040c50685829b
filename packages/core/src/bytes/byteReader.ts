import { RivuletError } from './rivuletError.js';

/** Input that ends before the value that is being read. */
export class UnexpectedEndError extends RivuletError<'unexpected_end'> {
  constructor(wanted: number, left: number) {
    super('unexpected_end', `the input ends too early: ${wanted} bytes wanted, ${left} left`);
  }
}

/**
 * Reads integers and byte strings from a buffer. Integers are big endian unless the name says `Le`.
 * Every read throws UnexpectedEndError when too little is left; nothing is allocated from a length
 * that the input only claims.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  #advance(count: number): number {
    if (!(count >= 0) || count > this.left) throw new UnexpectedEndError(count, this.left);
    const offset = this.#offset;
    this.#offset = offset + count;
    return offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }

  u16Le(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32Le(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64Le(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /** A copy of the next `count` bytes. */
  bytes(count: number): Uint8Array {
    const offset = this.#advance(count);
    // Not `slice`: that of a Node Buffer shares memory.
    const copy = new Uint8Array(count);
    copy.set(this.#bytes.subarray(offset, offset + count));
    return copy;
  }

  /** A copy of all that is left. */
  rest(): Uint8Array {
    return this.bytes(this.left);
  }
}
