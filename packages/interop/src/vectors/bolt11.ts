import assert from 'node:assert/strict';
import { addressToScript } from '@rivulet/chain';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import {
  checkPayable,
  createInvoice,
  decodeInvoice,
  fallbackScript,
  type Invoice,
  type InvoiceCurrency,
  InvoiceError,
} from '@rivulet/core/invoice';
import { decodeFeatureBits, formatShortChannelId } from '@rivulet/core/wire';
import { readFixture, type VectorCase } from './vectorCase.js';

interface Expected {
  readonly currency: InvoiceCurrency;
  readonly amountMsat?: string;
  readonly timestamp: number;
  readonly paymentHash: string;
  readonly paymentSecret: string;
  readonly description?: string;
  readonly descriptionHash?: string;
  readonly expirySeconds: number;
  readonly minFinalCltvDelta: number;
  readonly features: readonly number[];
  /** An address. */
  readonly fallback?: string;
  readonly hints?: readonly (readonly Readonly<Record<string, string | number>>[])[];
  readonly metadata?: string;
  readonly fieldsOfWrongLength?: readonly string[];
  /** The types of unknown fields, and of fallback addresses of an unknown version. */
  readonly unknownFields?: readonly number[];
}

interface ValidVector {
  readonly name: string;
  readonly invoice: string;
  readonly expected: Expected;
  readonly signature?: string;
  readonly signedData?: string;
  /** Where it is not that of `privateKey`: the example with a high S names the recovery id of the low S. */
  readonly nodeId?: string;
  /** Its fields stand in the order in which Rivulet writes them. */
  readonly fieldOrder?: 'ours';
}

interface InvoiceVectors {
  readonly privateKey: string;
  readonly nodeId: string;
  readonly valid: readonly ValidVector[];
  readonly invalid: readonly { readonly name: string; readonly invoice: string; readonly refusal: string }[];
}

/** BOLT 11, examples of valid and of invalid invoices. */
export function bolt11Cases(): VectorCase[] {
  const vectors = JSON.parse(readFixture('bolt11-invoices.json')) as InvoiceVectors;
  return [
    ...vectors.valid.map((vector, i) => ({
      name: `BOLT 11 example ${i + 1}: ${vector.name}`,
      run: () => runValid(vector, vectors),
    })),
    ...vectors.invalid.map(({ name, invoice, refusal }, i) => ({
      name: `BOLT 11 invalid example ${i + 1}: ${name}`,
      run: () =>
        assert.throws(
          () => pay(decodeInvoice(invoice)),
          (error) => error instanceof InvoiceError && error.code === refusal,
        ),
    })),
  ];
}

/** At the second in which it was made. */
function pay(invoice: Invoice): void {
  checkPayable(invoice, { currency: invoice.currency, nowSeconds: invoice.timestamp });
}

function runValid(vector: ValidVector, { nodeId: signer, privateKey }: InvoiceVectors): void {
  const { expected, nodeId = signer } = vector;
  const invoice = decodeInvoice(vector.invoice, { keepUnknownFields: true });
  assert.deepEqual(readable(invoice), {
    ...expected,
    fallback:
      expected.fallback && bytesToHex(addressToScript(expected.fallback, networks[expected.currency])),
  });
  assert.equal(bytesToHex(invoice.nodeId), nodeId);
  if (vector.signature !== undefined) assert.equal(bytesToHex(invoice.signature), vector.signature);
  if (vector.signedData !== undefined) {
    const hash = sha256(hexToBytes(vector.signedData));
    assert.ok([0, 1, 2, 3].some((recovery) => recovers(invoice.signature, { recovery, hash, nodeId })));
  }
  // Since this example was written, BOLT 11 has come to forbid to pay what it has to be read as.
  if (expected.fieldsOfWrongLength === undefined) pay(invoice);
  else assert.throws(() => pay(invoice), { code: 'field_length_wrong' });
  checkWritten(vector, invoice, hexToBytes(privateKey));
}

function recovers(
  signature: Uint8Array,
  { recovery, hash, nodeId }: { recovery: number; hash: Uint8Array; nodeId: string },
): boolean {
  try {
    return bytesToHex(secp256k1.recover(signature, recovery, hash)) === nodeId;
  } catch {
    return false;
  }
}

/** What was read is written again, and read as the same; where the fields' order is ours, to the letter. */
function checkWritten(vector: ValidVector, invoice: Invoice, privateKey: Uint8Array): void {
  const { expected } = vector;
  const { nodeId: _, expirySeconds, minFinalCltvDelta, paymentSecret, ...fields } = invoice;
  assert.ok(paymentSecret !== undefined);
  const text = createInvoice(
    {
      ...fields,
      paymentSecret,
      ...(expirySeconds === 3600 ? {} : { expirySeconds }),
      ...(minFinalCltvDelta === 18 ? {} : { minFinalCltvDelta }),
    },
    (hash) => secp256k1.signRecoverable(hash, privateKey),
  );
  const { fieldsOfWrongLength: __, unknownFields: ___, ...known } = expected;
  assert.deepEqual(readable(decodeInvoice(text)), {
    ...known,
    fallback: known.fallback && bytesToHex(addressToScript(known.fallback, networks[known.currency])),
  });
  if (vector.fieldOrder === 'ours') assert.equal(text, vector.invoice);
}

const networks = { bc: 'mainnet', tb: 'testnet4', tbs: 'signet', bcrt: 'regtest' } as const;

/** An invoice as the fixture has it. */
function readable(invoice: Invoice): Expected {
  const { amountMsat, paymentSecret = new Uint8Array(0), description, metadata } = invoice;
  const [fallback] = invoice.fallbacks;
  const { fieldsOfWrongLength, unknownFields, hints } = invoice;
  return {
    currency: invoice.currency,
    timestamp: invoice.timestamp,
    paymentHash: bytesToHex(invoice.paymentHash),
    paymentSecret: bytesToHex(paymentSecret),
    expirySeconds: invoice.expirySeconds,
    minFinalCltvDelta: invoice.minFinalCltvDelta,
    features: decodeFeatureBits(invoice.features),
    fallback: fallback && bytesToHex(fallbackScript(fallback)),
    ...(amountMsat === undefined ? {} : { amountMsat: String(amountMsat) }),
    ...(description.type === 'text'
      ? { description: description.text }
      : { descriptionHash: bytesToHex(description.hash) }),
    ...(metadata === undefined ? {} : { metadata: bytesToHex(metadata) }),
    ...(fieldsOfWrongLength.length === 0 ? {} : { fieldsOfWrongLength }),
    ...(unknownFields.length === 0 ? {} : { unknownFields: unknownFields.map(({ type }) => type) }),
    ...(hints.length === 0
      ? {}
      : {
          hints: hints.map((hops) =>
            hops.map((hop) => ({
              nodeId: bytesToHex(hop.nodeId),
              shortChannelId: formatShortChannelId(hop.shortChannelId),
              feeBaseMsat: hop.feeBaseMsat,
              feeProportionalMillionths: hop.feeProportionalMillionths,
              cltvExpiryDelta: hop.cltvExpiryDelta,
            })),
          ),
        }),
  };
}
