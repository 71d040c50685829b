import type { ByteReader, ByteWriter } from '../../bytes/index.js';
import { arrayOfRest, type Codec, CodecError } from '../codec.js';

/** The encoding byte of a plain array; 1 was zlib, which MUST NOT be used any more. */
const UNCOMPRESSED = 0;

/** An array behind an encoding byte, to the end of the input (BOLT 7, query messages). */
export class EncodedArrayCodec<T> implements Codec<readonly T[]> {
  readonly item: Codec<T>;

  constructor(item: Codec<T>) {
    this.item = item;
  }

  read(reader: ByteReader): readonly T[] {
    const encoding = reader.u8();
    if (encoding !== UNCOMPRESSED) {
      throw new CodecError(`array encoding ${encoding} is not supported; only 0 (uncompressed) is`);
    }
    return arrayOfRest(this.item).read(reader);
  }

  write(writer: ByteWriter, value: readonly T[]): void {
    writer.u8(UNCOMPRESSED);
    arrayOfRest(this.item).write(writer, value);
  }
}

export function encodedArray<T>(item: Codec<T>): EncodedArrayCodec<T> {
  return new EncodedArrayCodec(item);
}
