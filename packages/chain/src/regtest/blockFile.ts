import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { ByteReader, ByteWriter, concatBytes, equalBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';

const kinds = { block: 1, invalidate: 2, reconsider: 3, transaction: 4 } as const;
type RecordKind = keyof typeof kinds;

export interface ChainRecord {
  readonly kind: RecordKind;
  readonly payload: Uint8Array;
}

const headerSize = 9;

function checksum(kind: number, payload: Uint8Array): Uint8Array {
  return sha256(concatBytes(Uint8Array.of(kind), payload)).subarray(0, 4);
}

/**
 * One append-only file of what happened to the chain. A record is its kind (1 byte), the length of its
 * payload (4, little endian), a checksum (4) and the payload. A torn or damaged tail is cut off on opening.
 */
export class BlockFile {
  readonly #descriptor: number;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Opens or creates the file. @returns it, and all whole records in order */
  static open(path: string): { file: BlockFile; records: ChainRecord[] } {
    mkdirSync(dirname(path), { recursive: true });
    const descriptor = openSync(path, 'a+', 0o600);
    const bytes = Uint8Array.from(readFileSync(path));
    const reader = new ByteReader(bytes);
    const records: ChainRecord[] = [];
    let whole = 0;
    while (reader.left >= headerSize) {
      const code = reader.u8();
      const length = reader.u32Le();
      const sum = reader.bytes(4);
      const kind = (Object.keys(kinds) as RecordKind[]).find((one) => kinds[one] === code);
      if (kind === undefined || length > reader.left) break;
      const payload = reader.bytes(length);
      if (!equalBytes(checksum(code, payload), sum)) break;
      records.push({ kind, payload });
      whole = reader.offset;
    }
    if (whole < bytes.length) ftruncateSync(descriptor, whole);
    return { file: new BlockFile(descriptor), records };
  }

  append({ kind, payload }: ChainRecord): void {
    const record = new ByteWriter(headerSize + payload.length)
      .u8(kinds[kind])
      .u32Le(payload.length)
      .bytes(checksum(kinds[kind], payload))
      .bytes(payload)
      .finish();
    let written = 0;
    while (written < record.length) written += writeSync(this.#descriptor, record, written);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
