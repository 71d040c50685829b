import { concatBytes, utf8ToBytes } from '../bytes/index.js';
import { CryptoError, publicCurve, sha256 } from '../crypto/index.js';
import type { HintHop } from '../graph/index.js';
import { bech32Words } from './bech32.js';
import { readHumanReadablePart } from './humanReadablePart.js';
import {
  defaultExpirySeconds,
  defaultMinFinalCltvDelta,
  type FallbackAddress,
  type Invoice,
  type InvoiceDescription,
  type UnknownField,
} from './invoice.js';
import { InvoiceError } from './invoiceError.js';
import {
  type FieldLetter,
  fieldTypes,
  readBytes,
  readFallback,
  readFeatures,
  readHint,
  readInteger,
  readNodeId,
  readText,
  splitFields,
  type TaggedField,
} from './taggedFields.js';
import { wordsToBytes, wordsToInteger, wordsToPaddedBytes } from './words.js';

/** Far above what fits in a QR code; what is longer is not looked at. */
export const maxInvoiceLength = 16_384;
/** 520 bits. */
const signatureWords = 104;
/** 35 bits. */
const timestampWords = 7;
const checksumLength = 6;
/** Leaves timestamp plus expiry exact; 140 million years. */
const maxExpirySeconds = 2 ** 52;
const maxCltvDelta = 0xffff_ffff;

/** BOLT 11: fields of a fixed `data_length`. */
const fixedLengths: ReadonlyMap<number, number> = new Map([
  [fieldTypes.p, 52],
  [fieldTypes.h, 52],
  [fieldTypes.s, 52],
  [fieldTypes.n, 53],
]);
const letters = new Map<number, FieldLetter>(
  Object.entries(fieldTypes).map(([letter, type]) => [type, letter as FieldLetter]),
);

/**
 * Reads an invoice (BOLT 11) of any of the networks, in lower or upper case, a `lightning:` before it or not.
 * Its signature has been verified. Whether it may be paid, `checkPayable` says.
 * @throws InvoiceError, and nothing else, whatever the text is.
 */
export function decodeInvoice(text: string, options: { keepUnknownFields?: boolean } = {}): Invoice {
  const { prefix, words } = readBech32(text);
  const { currency, amountMsat } = readHumanReadablePart(prefix);
  if (words.length < timestampWords + signatureWords) {
    throw new InvoiceError('too_short', 'this invoice is too short: copy it again, all of it');
  }
  const signedWords = words.subarray(0, -signatureWords);
  const fields = readFields(splitFields(signedWords.subarray(timestampWords)));
  const { unknownFields, nodeId, ...rest } = fields;
  // BOLT 11: of the human-readable part (as UTF-8) and the data part, 0 bits appended to a byte boundary
  const hash = sha256(concatBytes(utf8ToBytes(prefix), wordsToPaddedBytes(signedWords)));
  return {
    currency,
    ...(amountMsat === undefined ? {} : { amountMsat }),
    timestamp: wordsToInteger(signedWords.subarray(0, timestampWords)) as number,
    ...rest,
    ...readSignature(words.subarray(-signatureWords), { hash, nodeId }),
    unknownFields: options.keepUnknownFields === true ? unknownFields : [],
  };
}

function readBech32(text: string): { prefix: string; words: Uint8Array } {
  if (text.length > maxInvoiceLength) {
    throw new InvoiceError('too_long', `an invoice has at most ${maxInvoiceLength} characters`);
  }
  const bare = text.replace(/^lightning:/i, '');
  const lower = bare.toLowerCase();
  // BIP 173: the characters before the separator, which is the last 1, are ASCII; those behind are of 32
  const separator = lower.lastIndexOf('1');
  if (separator < 1 || !/^[!-~]+$/.test(bare) || !/^[02-9ac-hj-np-z]*$/.test(lower.slice(separator + 1))) {
    throw new InvoiceError(
      'not_bech32',
      'this is no Lightning invoice: it has characters that none has, or lacks the 1 behind the amount',
    );
  }
  // BIP 173: decoders MUST NOT accept strings where some characters are uppercase and some are lowercase
  if (bare !== lower && bare !== bare.toUpperCase()) {
    throw new InvoiceError('mixed_case', 'this invoice mixes upper and lower case: copy it again');
  }
  if (lower.length - separator - 1 < checksumLength) {
    throw new InvoiceError('too_short', 'this invoice is too short: copy it again, all of it');
  }
  const words = bech32Words(lower, separator);
  // BOLT 11, reader: if the checksum is incorrect: MUST fail the payment
  if (words === undefined) {
    throw new InvoiceError(
      'checksum_invalid',
      'the checksum of this invoice is wrong: a character was altered or lost, copy it again',
    );
  }
  return { prefix: lower.slice(0, separator), words };
}

type ReadFields = Omit<Invoice, 'currency' | 'amountMsat' | 'timestamp' | 'signature' | 'nodeId'> &
  Partial<Pick<Invoice, 'nodeId'>>;

function readFields(fields: readonly TaggedField[]): ReadFields {
  /** BOLT 11: the most-preferred first. */
  const first = new Map<FieldLetter, Uint8Array>();
  const fallbacks: FallbackAddress[] = [];
  const hints: HintHop[][] = [];
  const fieldsOfWrongLength: string[] = [];
  const unknownFields: UnknownField[] = [];
  for (const { type, words } of fields) {
    const letter = letters.get(type);
    if (letter === undefined) {
      unknownFields.push({ type, words });
    } else if ((fixedLengths.get(type) ?? words.length) !== words.length) {
      // An example of BOLT 11 reads on here, its rule is not to pay: `checkPayable` does not.
      if (!fieldsOfWrongLength.includes(letter)) fieldsOfWrongLength.push(letter);
    } else if (letter === 'f') {
      const fallback = readFallback(words);
      // BOLT 11, reader: MUST skip over `f` fields that use an unknown `version`
      if (fallback === undefined) unknownFields.push({ type, words });
      else fallbacks.push(fallback);
    } else if (letter === 'r') {
      const hint = readHint(words);
      if (hint.length > 0) hints.push(hint);
    } else if (!first.has(letter)) {
      first.set(letter, words);
    }
  }
  const read = <T>(letter: FieldLetter, reader: (letter: FieldLetter, words: Uint8Array) => T) => {
    const words = first.get(letter);
    return words === undefined ? undefined : reader(letter, words);
  };
  const paymentHash = read('p', readBytes);
  if (paymentHash === undefined) {
    throw new InvoiceError('field_missing', 'this invoice has no payment hash: ask for a new one');
  }
  const paymentSecret = read('s', readBytes);
  const metadata = read('m', readBytes);
  const nodeId = read('n', readNodeId);
  return {
    paymentHash,
    ...(paymentSecret === undefined ? {} : { paymentSecret }),
    description: readDescription(read('d', readText), read('h', readBytes)),
    expirySeconds:
      read('x', (letter, words) => readInteger(letter, words, maxExpirySeconds)) ?? defaultExpirySeconds,
    minFinalCltvDelta:
      read('c', (letter, words) => readInteger(letter, words, maxCltvDelta)) ?? defaultMinFinalCltvDelta,
    fallbacks,
    hints,
    features: read('9', readFeatures) ?? new Uint8Array(0),
    ...(metadata === undefined ? {} : { metadata }),
    ...(nodeId === undefined ? {} : { nodeId }),
    fieldsOfWrongLength,
    unknownFields,
  };
}

function readDescription(text: string | undefined, hash: Uint8Array | undefined): InvoiceDescription {
  // BOLT 11, reader: MUST fail the payment if neither a `d` field nor a `h` field is present, or if both are
  if (text !== undefined && hash !== undefined) {
    throw new InvoiceError(
      'field_invalid',
      'this invoice has a description and the hash of one: ask for a new one',
    );
  }
  if (text !== undefined) return { type: 'text', text };
  if (hash !== undefined) return { type: 'hash', hash };
  throw new InvoiceError('field_missing', 'this invoice does not say what it is for: ask for a new one');
}

function readSignature(
  words: Uint8Array,
  { hash, nodeId }: { hash: Uint8Array; nodeId: Uint8Array | undefined },
): Pick<Invoice, 'signature' | 'nodeId'> {
  // 520 bits: nothing is left over.
  const bytes = wordsToBytes(words) as Uint8Array;
  const signature = bytes.slice(0, 64);
  const recovery = bytes[64] as number;
  const invalid = (reason: string, cause?: unknown) =>
    new InvoiceError('signature_invalid', `the signature of this invoice is not valid: ${reason}`, { cause });
  // BOLT 11: recovery id in {0,1,2,3}
  if (recovery > 3) throw invalid('its recovery id is above 3');
  if (nodeId !== undefined) {
    // BOLT 11, reader: MUST use the `n` field to validate the signature; not low-S: MUST fail the payment
    if (!publicCurve.verify(signature, hash, nodeId))
      throw invalid('it is not by the node that the invoice names');
    return { signature, nodeId };
  }
  try {
    // BOLT 11, reader: otherwise public-key recovery, from high-S and low-S signatures
    return { signature, nodeId: publicCurve.recover(signature, recovery, hash) };
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw invalid('no key can have made it', cause);
  }
}
