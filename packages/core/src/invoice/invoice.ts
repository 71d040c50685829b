import type { HintHop } from '../graph/index.js';
import { checkDependencies, decodeFeatureBits, type FeatureBits, FeatureError } from '../wire/index.js';
import { InvoiceError } from './invoiceError.js';

/**
 * The currency prefix of BIP 173, by which an invoice names its network: mainnet, the testnets, signet,
 * regtest.
 */
export type InvoiceCurrency = 'bc' | 'tb' | 'tbs' | 'bcrt';

/** What is paid for: in words, or the SHA-256 of words that came another way. */
export type InvoiceDescription =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'hash'; readonly hash: Uint8Array };

/** An address on chain to pay to instead. */
export interface FallbackAddress {
  /** 0 to 16: the version of a witness program; 17: a public key's hash; 18: a script's hash. */
  readonly version: number;
  readonly program: Uint8Array;
}

/** A tagged field that BOLT 11 does not define, or a fallback address of an unknown version. */
export interface UnknownField {
  /** 0 to 31. */
  readonly type: number;
  /** 5-bit values. */
  readonly words: Uint8Array;
}

/** What the recipient signs. */
export interface InvoiceFields {
  readonly currency: InvoiceCurrency;
  /** Absent where the payer chooses. */
  readonly amountMsat?: bigint;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** 32 bytes. */
  readonly paymentHash: Uint8Array;
  /** 32 bytes. */
  readonly paymentSecret: Uint8Array;
  readonly description: InvoiceDescription;
  /** From the timestamp on; 3600 where absent. */
  readonly expirySeconds?: number;
  /** Blocks that the last HTLC must have left; 18 where absent, which a writer should not leave it at. */
  readonly minFinalCltvDelta?: number;
  /** The most preferred first. */
  readonly fallbacks?: readonly FallbackAddress[];
  /** Ways over unannounced channels, each ending at the recipient; the most preferred first. */
  readonly hints?: readonly (readonly HintHop[])[];
  readonly features?: FeatureBits;
  /** To be sent back with every HTLC. */
  readonly metadata?: Uint8Array;
  /** Written where given; otherwise readers recover it from the signature. */
  readonly nodeId?: Uint8Array;
}

/** An invoice that was read; its signature is valid. */
export interface Invoice extends Omit<InvoiceFields, 'paymentSecret'> {
  /** Absent in invoices that must not be paid. */
  readonly paymentSecret?: Uint8Array;
  readonly expirySeconds: number;
  readonly minFinalCltvDelta: number;
  readonly fallbacks: readonly FallbackAddress[];
  readonly hints: readonly (readonly HintHop[])[];
  readonly features: FeatureBits;
  /** The recipient, 33 bytes: as the invoice says, or recovered from its signature. */
  readonly nodeId: Uint8Array;
  /** 64 bytes compact. */
  readonly signature: Uint8Array;
  /** The letters of fields that were skipped because their length is not what theirs must be. */
  readonly fieldsOfWrongLength: readonly string[];
  /** Those that were skipped; empty unless asked for. */
  readonly unknownFields: readonly UnknownField[];
}

/** BOLT 11: defaults of the fields `x` and `c`. */
export const defaultExpirySeconds = 3600;
export const defaultMinFinalCltvDelta = 18;

/** The even bits that this payer meets: varOnionOptin, paymentSecret, basicMpp, paymentMetadata. */
const payableBits: ReadonlySet<number> = new Set([8, 14, 16, 48]);

/** Whether the time to pay is over: nobody should pay it, or accept a payment for it, any more. */
export function isExpired(
  invoice: Pick<Invoice, 'timestamp' | 'expirySeconds'>,
  nowSeconds: number,
): boolean {
  return nowSeconds > invoice.timestamp + invoice.expirySeconds;
}

/**
 * Checks that an invoice may be paid, as far as the invoice goes.
 * @param currency that of the payer's network.
 * @throws InvoiceError whose message can be shown to the payer.
 */
export function checkPayable(
  invoice: Invoice,
  { currency, nowSeconds }: { currency: InvoiceCurrency; nowSeconds: number },
): asserts invoice is Invoice & { readonly paymentSecret: Uint8Array } {
  // BOLT 11: if it does NOT understand the `prefix`: MUST fail the payment
  if (invoice.currency !== currency) {
    throw new InvoiceError(
      'currency_wrong',
      `this invoice is for another network: it begins with ln${invoice.currency}, those of this node with ln${currency}`,
    );
  }
  // BOLT 11: MUST fail the payment if any field with fixed `data_length` does not have the correct length
  if (invoice.fieldsOfWrongLength.length > 0) {
    throw new InvoiceError(
      'field_length_wrong',
      `fields of this invoice have a wrong length (${invoice.fieldsOfWrongLength.join(', ')}): ask for a new one`,
    );
  }
  // BOLT 11: if a valid `s` field is not provided: MUST fail the payment
  if (invoice.paymentSecret === undefined) {
    throw new InvoiceError(
      'payment_secret_missing',
      'this invoice has no payment secret, without which the payment could be stolen on its way: ask for a new one',
    );
  }
  checkFeatures(invoice.features);
  // BOLT 11: after the `timestamp` plus `expiry` has passed: SHOULD NOT attempt a payment
  if (isExpired(invoice, nowSeconds)) {
    const seconds = nowSeconds - invoice.timestamp - invoice.expirySeconds;
    throw new InvoiceError('expired', `this invoice expired ${spanText(seconds)} ago: ask for a new one`);
  }
}

/** A length of time for people, rounded down. */
function spanText(seconds: number): string {
  const [size, unit] =
    seconds < 120
      ? [1, 'second']
      : seconds < 7_200
        ? [60, 'minute']
        : seconds < 172_800
          ? [3_600, 'hour']
          : [86_400, 'day'];
  const count = Math.floor(seconds / size);
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

function checkFeatures(features: FeatureBits): void {
  // BOLT 11: unknown even bits: MUST fail the payment, SHOULD indicate the unknown bit to the user
  const refused = decodeFeatureBits(features).filter((bit) => bit % 2 === 0 && !payableBits.has(bit));
  if (refused.length > 0) {
    throw new InvoiceError(
      'feature_unknown',
      `paying this invoice needs features that Rivulet lacks: bits ${refused.slice(0, 8).join(', ')}`,
    );
  }
  try {
    // BOLT 11: feature vector does not set all known, transitive dependencies: MUST NOT attempt the payment
    checkDependencies(features);
  } catch (cause) {
    if (!(cause instanceof FeatureError)) throw cause;
    throw new InvoiceError('feature_dependency_missing', `this invoice is inconsistent: ${cause.message}`, {
      cause,
    });
  }
}

/** The output script of a fallback address. */
export function fallbackScript({ version, program }: FallbackAddress): Uint8Array {
  if (version === 17) return Uint8Array.of(0x76, 0xa9, 20, ...program, 0x88, 0xac);
  if (version === 18) return Uint8Array.of(0xa9, 20, ...program, 0x87);
  return Uint8Array.of(version === 0 ? 0 : 0x50 + version, program.length, ...program);
}
