/**
 * SQLite's write-ahead log (sqlite.org/fileformat2.html, section 4): a header of 32 bytes, then frames, each of
 * which is 24 bytes and one page. All numbers are big-endian. A frame counts when it carries the salts of the
 * header and when its checksum, which goes on from that of the frame before it, is right; a transaction counts
 * when the frame that ends it does.
 */
export const WAL_HEADER_BYTES = 32;
export const FRAME_HEADER_BYTES = 24;

const MAGIC_LITTLE_ENDIAN = 0x377f0682;
const MAGIC_BIG_ENDIAN = 0x377f0683;
const FORMAT_VERSION = 3_007_000;
/** How many frames are read at once. */
const FRAMES_PER_READ = 32;

/** Reads into all of `buffer` from `position` on; how many bytes there were. */
export type ReadAt = (buffer: Uint8Array, position: number) => number;

export interface WalHeader {
  readonly bytes: Uint8Array;
  readonly pageSize: number;
  /** The order of the bytes in the words that checksums are made of. */
  readonly littleEndian: boolean;
}

/** A place in one life of a log: after how many frames, and the checksum there, which no other log has. */
export interface WalPosition {
  readonly header: WalHeader;
  readonly frames: number;
  readonly sum0: number;
  readonly sum1: number;
}

/** A committed transaction in the log: its frames (0 is the first of the log) and the pages they hold. */
interface WalCommit {
  readonly frames: readonly { readonly index: number; readonly page: number }[];
  /** How many pages the database has after it. */
  readonly pageCount: number;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The checksum that goes on from `sums` over `bytes`, whose length is a multiple of 8. */
function checksum(
  bytes: DataView,
  { sums, littleEndian }: { sums: [number, number]; littleEndian: boolean },
) {
  let [sum0, sum1] = sums;
  for (let offset = 0; offset < bytes.byteLength; offset += 8) {
    sum0 = (sum0 + bytes.getUint32(offset, littleEndian) + sum1) | 0;
    sum1 = (sum1 + bytes.getUint32(offset + 4, littleEndian) + sum0) | 0;
  }
  return [sum0, sum1] as [number, number];
}

/** The header of a log, or `undefined` where there is none that counts: SQLite takes such a log as empty. */
export function readWalHeader(read: ReadAt): WalHeader | undefined {
  const bytes = new Uint8Array(WAL_HEADER_BYTES);
  if (read(bytes, 0) < WAL_HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  const magic = view.getUint32(0);
  if (magic !== MAGIC_LITTLE_ENDIAN && magic !== MAGIC_BIG_ENDIAN) return undefined;
  if (view.getUint32(4) !== FORMAT_VERSION) return undefined;
  const pageSize = view.getUint32(8);
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  const littleEndian = magic === MAGIC_LITTLE_ENDIAN;
  const sums = checksum(new DataView(bytes.buffer, 0, 24), { sums: [0, 0], littleEndian });
  if (sums[0] !== view.getInt32(24) || sums[1] !== view.getInt32(28)) return undefined;
  return { bytes, pageSize, littleEndian };
}

/** The place before the first frame. */
export function startOfWal(header: WalHeader): WalPosition {
  const view = viewOf(header.bytes);
  return { header, frames: 0, sum0: view.getInt32(24), sum1: view.getInt32(28) };
}

/** Where in the file the frame after `frames` others begins. */
export function frameOffset(header: WalHeader, frames: number): number {
  return WAL_HEADER_BYTES + frames * (FRAME_HEADER_BYTES + header.pageSize);
}

export function isSamePosition(a: WalPosition, b: WalPosition): boolean {
  return isSameLog(a.header, b.header) && a.frames === b.frames && a.sum0 === b.sum0 && a.sum1 === b.sum1;
}

/** Whether both are of the same life of the same log: its salts are random. */
export function isSameLog(a: WalHeader, b: WalHeader): boolean {
  return a.bytes.every((byte, index) => byte === b.bytes[index]);
}

interface ScanOptions {
  readonly from: WalPosition;
  /** Stops after that many frames of the log, as if there were no more. */
  readonly maxFrames?: number;
  readonly onCommit?: (commit: WalCommit) => void;
}

let scanBuffer = new Uint8Array(0);

/** One buffer for all scans, which never run inside one another: each commit makes one. */
function bufferOf(length: number): Uint8Array {
  if (scanBuffer.length < length) scanBuffer = new Uint8Array(length);
  return scanBuffer.subarray(0, length);
}

/** Checks the frames after `from`; the place after the last that ends a transaction. */
export function scanCommits(
  read: ReadAt,
  { from, maxFrames = Infinity, onCommit }: ScanOptions,
): WalPosition {
  const { header } = from;
  const frameBytes = FRAME_HEADER_BYTES + header.pageSize;
  const buffer = bufferOf(frameBytes * FRAMES_PER_READ);
  const view = viewOf(buffer);
  const salts = viewOf(header.bytes);
  const salt0 = salts.getUint32(16);
  const salt1 = salts.getUint32(20);
  let committed = from;
  let pending: { index: number; page: number }[] = [];
  let frames = from.frames;
  let sums: [number, number] = [from.sum0, from.sum1];
  for (;;) {
    const whole = Math.floor(read(buffer, frameOffset(header, frames)) / frameBytes);
    for (let i = 0; i < whole; i++) {
      const start = i * frameBytes;
      const page = view.getUint32(start);
      if (page === 0 || frames >= maxFrames) return committed;
      if (view.getUint32(start + 8) !== salt0 || view.getUint32(start + 12) !== salt1) return committed;
      const { littleEndian } = header;
      sums = checksum(new DataView(buffer.buffer, start, 8), { sums, littleEndian });
      const content = new DataView(buffer.buffer, start + FRAME_HEADER_BYTES, header.pageSize);
      sums = checksum(content, { sums, littleEndian });
      if (sums[0] !== view.getInt32(start + 16) || sums[1] !== view.getInt32(start + 20)) return committed;
      pending.push({ index: frames++, page });
      const pageCount = view.getUint32(start + 4);
      if (pageCount === 0) continue;
      committed = { header, frames, sum0: sums[0], sum1: sums[1] };
      onCommit?.({ frames: pending, pageCount });
      pending = [];
    }
    if (whole < FRAMES_PER_READ) return committed;
  }
}
