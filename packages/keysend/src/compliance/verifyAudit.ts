import type { StoreReader } from '../store/toolkitStore.js';
import { type AuditLineFault, decodeAuditLine, noPrevious } from './auditLine.js';
import { type AuditHead, auditLines, readHead } from './auditLog.js';

export type AuditFault =
  | AuditLineFault
  /** An entry is missing, there twice, or in another place. */
  | 'order_wrong'
  /** The one before is another than it was: changed, or the log was written anew. */
  | 'previous_wrong'
  /** It ends before the anchor, or before the store's own head. */
  | 'cut_off'
  /** The entry of the anchor is another one. */
  | 'anchor_wrong'
  /** The log begins after the anchor: this part says nothing of it. */
  | 'anchor_outside';

export type AuditVerdict =
  | {
      readonly status: 'intact';
      readonly entries: number;
      /** The number of the first entry: 1, unless it is a part of a log; `undefined` where there are none. */
      readonly firstSeq: number | undefined;
      readonly head: AuditHead;
    }
  | {
      readonly status: 'damaged';
      readonly reason: AuditFault;
      /** Lines that were read, with the one at fault. */
      readonly line: number;
      /** The entry at fault, as far as it is known. */
      readonly seq: number;
    };

/** Checks a log line by line, and remembers one line: any number of entries in the same memory. */
export class AuditVerifier {
  readonly #anchors: readonly AuditHead[];
  #lines = 0;
  #firstSeq: number | undefined;
  #last: AuditHead = { seq: 0, hash: noPrevious };
  #fault: Extract<AuditVerdict, { status: 'damaged' }> | undefined;

  /** @param anchors what is known of the log from elsewhere. */
  constructor(anchors: readonly AuditHead[] = []) {
    this.#anchors = anchors;
  }

  /** @returns false once something is wrong: the rest needs not be read. */
  add(line: string): boolean {
    if (this.#fault !== undefined) return false;
    this.#lines++;
    const record = decodeAuditLine(line);
    if (typeof record === 'string') return this.#damaged(record, this.#last.seq + 1);
    const { seq, previous, hash } = record;
    if (this.#firstSeq === undefined) {
      if (seq < 1) return this.#damaged('malformed', seq);
      this.#firstSeq = seq;
      // A part of a log begins after an entry that only an anchor can vouch for.
      const before = seq === 1 ? noPrevious : this.#anchors.find((anchor) => anchor.seq === seq - 1)?.hash;
      if (before !== undefined && previous !== before) return this.#damaged('previous_wrong', seq);
    } else {
      if (seq !== this.#last.seq + 1) return this.#damaged('order_wrong', this.#last.seq + 1);
      if (previous !== this.#last.hash) return this.#damaged('previous_wrong', seq);
    }
    this.#last = { seq, hash };
    const anchor = this.#anchors.find((one) => one.seq === seq);
    if (anchor !== undefined && anchor.hash !== hash) return this.#damaged('anchor_wrong', seq);
    return true;
  }

  finish(): AuditVerdict {
    if (this.#fault !== undefined) return this.#fault;
    for (const { seq } of this.#anchors) {
      if (seq > this.#last.seq) this.#damaged('cut_off', this.#last.seq + 1);
      else if (seq < (this.#firstSeq ?? 1) - 1) this.#damaged('anchor_outside', seq);
    }
    return (
      this.#fault ?? { status: 'intact', entries: this.#lines, firstSeq: this.#firstSeq, head: this.#last }
    );
  }

  #damaged(reason: AuditFault, seq: number): false {
    this.#fault ??= { status: 'damaged', reason, line: this.#lines, seq };
    return false;
  }
}

/** Checks an export: its lines, without line feeds. */
export async function verifyAuditLines(
  lines: AsyncIterable<string> | Iterable<string>,
  { anchors = [] }: { readonly anchors?: readonly AuditHead[] } = {},
): Promise<AuditVerdict> {
  const verifier = new AuditVerifier(anchors);
  for await (const line of lines) if (!verifier.add(line)) break;
  return verifier.finish();
}

/** Checks the log of a store, with its own head as an anchor. */
export function verifyAudit(
  store: StoreReader,
  { anchors = [] }: { readonly anchors?: readonly AuditHead[] } = {},
): AuditVerdict {
  const head = readHead(store);
  const verifier = new AuditVerifier(head.seq === 0 ? anchors : [...anchors, head]);
  let first = true;
  for (const line of auditLines(store)) {
    // Here, unlike in an export, the first entry has to be the first.
    if (first && !line.startsWith('{"seq":1,'))
      return { status: 'damaged', reason: 'order_wrong', line: 1, seq: 1 };
    first = false;
    if (!verifier.add(line)) break;
  }
  const verdict = verifier.finish();
  // Read again: others may have appended since.
  const { seq } = readHead(store);
  if (verdict.status === 'intact' && verdict.head.seq > seq) {
    return { status: 'damaged', reason: 'order_wrong', line: seq + 1, seq: seq + 1 };
  }
  return verdict;
}
