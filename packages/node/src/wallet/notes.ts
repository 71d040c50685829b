/**
 * What a transaction of ours was made for.
 * - `send`: a payment that was asked for, `psbt`: one that came as a PSBT,
 * - `child`: pays the fee of its parents, `cancel`: takes the place of another and pays nobody else.
 */
export type TxPurpose = 'send' | 'psbt' | 'child' | 'cancel';

/**
 * What cannot be read from a transaction itself. A transaction with a note is sent again until it confirms; what
 * has none belongs to somebody else in the node (a channel's funding, a claim).
 */
export interface TxNote {
  readonly purpose: TxPurpose;
  readonly createdAtMs: number;
  /** The output that takes what is left: change, or the recipient of all. */
  readonly restIndex?: number | undefined;
  /** The txid (key) of the transaction in whose place this one was put. */
  readonly replaces?: string | undefined;
  readonly replacedBy?: string | undefined;
  /** Serialized in hex, once a confirmed transaction has made this one impossible. */
  readonly lost?: string | undefined;
}

const purposes: readonly string[] = ['send', 'psbt', 'child', 'cancel'] satisfies TxPurpose[];

export function encodeNote(note: TxNote): string {
  return JSON.stringify(note);
}

/** @throws RangeError for what `encodeNote` has not written. */
export function decodeNote(text: string): TxNote {
  const note: unknown = JSON.parse(text);
  if (typeof note !== 'object' || note === null || !('purpose' in note)) {
    throw new RangeError('a note of the wallet has no purpose');
  }
  if (typeof note.purpose !== 'string' || !purposes.includes(note.purpose)) {
    throw new RangeError('a note of the wallet has an unknown purpose');
  }
  return note as TxNote;
}
