import { bech32 } from '@scure/base';
import { concatBytes, utf8ToBytes } from '../bytes/index.js';
import { secp256k1, sha256 } from '../crypto/index.js';
import { checkDependencies, type FeatureBits, FeatureError } from '../wire/index.js';
import { maxInvoiceLength } from './decodeInvoice.js';
import { formatHumanReadablePart } from './humanReadablePart.js';
import type { InvoiceFields } from './invoice.js';
import { InvoiceError } from './invoiceError.js';
import {
  type FieldLetter,
  fieldTypes,
  hintToWords,
  invalidField,
  isFallback,
  joinFields,
  maxFieldWords,
  type TaggedField,
} from './taggedFields.js';
import { bitsToWords, bytesToWords, integerToWords, wordsToPaddedBytes } from './words.js';

/** Signs a hash of 32 bytes with the key of the node: `signRecoverable` of the curve. */
export type SignInvoice = (hash: Uint8Array) => {
  /** 64 bytes compact, low S. */
  readonly signature: Uint8Array;
  readonly recovery: number;
};

/**
 * Writes an invoice (BOLT 11) in lower case, signed.
 * @throws InvoiceError `amount_invalid`, `field_invalid`, `too_long`
 */
export function createInvoice(fields: InvoiceFields, sign: SignInvoice): string {
  const prefix = formatHumanReadablePart(fields.currency, fields.amountMsat);
  const words = Uint8Array.of(...timestampWords(fields.timestamp), ...joinFields(taggedFields(fields)));
  const hash = sha256(concatBytes(utf8ToBytes(prefix), wordsToPaddedBytes(words)));
  const { signature, recovery } = sign(hash);
  const signed = bytesToWords(concatBytes(signature, Uint8Array.of(recovery)));
  const text = bech32.encode(prefix, [...words, ...signed], false);
  if (text.length > maxInvoiceLength) {
    throw new InvoiceError(
      'too_long',
      `the invoice would have ${text.length} characters, ${maxInvoiceLength} are the most: give fewer hints`,
    );
  }
  return text;
}

function timestampWords(timestamp: number): Uint8Array {
  if (!Number.isInteger(timestamp) || timestamp < 0 || timestamp >= 2 ** 35) {
    throw new InvoiceError('field_invalid', 'the timestamp must be whole seconds since 1970');
  }
  const words = new Uint8Array(7);
  const digits = integerToWords(timestamp);
  words.set(digits, words.length - digits.length);
  return words;
}

/** In the order of most of BOLT 11's examples. */
function taggedFields(fields: InvoiceFields): TaggedField[] {
  const written: TaggedField[] = [];
  const add = (letter: FieldLetter, words: Uint8Array) => {
    if (words.length > maxFieldWords) {
      throw invalidField(
        letter,
        `it would have ${words.length} characters, a field has room for ${maxFieldWords}`,
      );
    }
    written.push({ type: fieldTypes[letter], words });
  };
  add('s', bytesToWords(of32Bytes('s', fields.paymentSecret)));
  add('p', bytesToWords(of32Bytes('p', fields.paymentHash)));
  const { description } = fields;
  if (description.type === 'text') add('d', bytesToWords(utf8ToBytes(description.text)));
  else add('h', bytesToWords(of32Bytes('h', description.hash)));
  if (fields.metadata !== undefined) add('m', bytesToWords(fields.metadata));
  if (fields.nodeId !== undefined) {
    if (!secp256k1.isPublicKey(fields.nodeId)) throw invalidField('n', 'it is no public key');
    add('n', bytesToWords(fields.nodeId));
  }
  if (fields.expirySeconds !== undefined) add('x', positive('x', fields.expirySeconds));
  if (fields.minFinalCltvDelta !== undefined) add('c', positive('c', fields.minFinalCltvDelta));
  for (const fallback of fields.fallbacks ?? []) {
    if (!isFallback(fallback)) throw invalidField('f', 'the version or the length of its program is unknown');
    add('f', Uint8Array.of(fallback.version, ...bytesToWords(fallback.program)));
  }
  for (const hint of fields.hints ?? []) add('r', hintToWords(hint));
  const features = featureWords(fields.features ?? new Uint8Array(0));
  // BOLT 11, writer: without non-zero bits MUST omit the `9` field altogether
  if (features.length > 0) add('9', features);
  return written;
}

function of32Bytes(letter: FieldLetter, bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 32) throw invalidField(letter, 'it has not 32 bytes');
  return bytes;
}

function positive(letter: FieldLetter, value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 1 || value > 0xffff_ffff) {
    throw invalidField(letter, 'it must be a whole number from 1 to 4294967295');
  }
  return integerToWords(value);
}

function featureWords(features: FeatureBits): Uint8Array {
  try {
    checkDependencies(features);
  } catch (cause) {
    if (cause instanceof FeatureError) throw invalidField('9', cause.message);
    throw cause;
  }
  return bitsToWords(features);
}
