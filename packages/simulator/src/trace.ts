import { bytesToHex, concatBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';

const chunkLines = 256;

/** A digest of everything that happens, in order: two runs with the same one were the same. */
export class Trace {
  #lines: string[] = [];
  #digest: Uint8Array = new Uint8Array(32);
  #count = 0;
  readonly #listener: ((line: string) => void) | undefined;

  constructor(listener?: (line: string) => void) {
    this.#listener = listener;
  }

  get count(): number {
    return this.#count;
  }

  note(line: string): void {
    this.#count++;
    this.#listener?.(line);
    this.#lines.push(line);
    if (this.#lines.length >= chunkLines) this.#fold();
  }

  #fold(): void {
    this.#digest = sha256(concatBytes(this.#digest, utf8ToBytes(this.#lines.join('\n'))));
    this.#lines = [];
  }

  /** In hex. */
  digest(): string {
    if (this.#lines.length > 0) this.#fold();
    return bytesToHex(this.#digest);
  }
}
