import { expect, test } from 'vitest';
import { secp256k1, sha256 } from '../../crypto/index.js';
import { checkPayable, createInvoice, decodeInvoice } from '../../invoice/index.js';
import { createOnion, encodeHopPayload } from '../../onion/index.js';
import { encodeFeatureBits } from '../../wire/index.js';
import { judgeFinal, type KnownInvoice } from './judgeFinal.js';
import { type AddedPart, PartSets } from './partSets.js';
import { readIncoming } from './readIncoming.js';

const nodePrivateKey = new Uint8Array(32).fill(0x42);
const preimage = new Uint8Array(32).fill(0x44);
const paymentHash = sha256(preimage);
const timestamp = 1_700_000_000;
const blockHeight = 800_000;

test('an invoice is made, read by its payer, paid in three parts over onions, and settled once', () => {
  const text = createInvoice(
    {
      currency: 'bcrt',
      amountMsat: 90_000n,
      timestamp,
      paymentHash,
      paymentSecret: new Uint8Array(32).fill(0x45),
      description: { type: 'text', text: 'three parts' },
      minFinalCltvDelta: 30,
      features: encodeFeatureBits([8, 14, 17]),
    },
    (hash) => secp256k1.signRecoverable(hash, nodePrivateKey),
  );
  const read = decodeInvoice(text);
  checkPayable(read, { currency: 'bcrt', nowSeconds: timestamp + 1 });
  const invoice: KnownInvoice = {
    paymentHash,
    paymentSecret: read.paymentSecret,
    amountMsat: 90_000n,
    expiresAtMs: (timestamp + read.expirySeconds) * 1000,
    minFinalCltvDelta: 30,
    preimage,
    state: 'open',
  };
  const sets = new PartSets();
  const pay = (id: number, amountMsat: bigint): AddedPart => {
    const cltvExpiry = blockHeight + read.minFinalCltvDelta;
    const payload = encodeHopPayload({
      amountToForwardMsat: amountMsat,
      outgoingCltvValue: cltvExpiry,
      paymentData: { paymentSecret: read.paymentSecret, totalMsat: 90_000n },
      customRecords: new Map(),
    });
    const { packet } = createOnion({
      sessionKey: new Uint8Array(32).fill(id),
      associatedData: read.paymentHash,
      hops: [{ publicKey: read.nodeId, payload }],
    });
    const htlc = { amountMsat, paymentHash: read.paymentHash, cltvExpiry, onion: packet };
    const incoming = readIncoming({ htlc, nodePrivateKey });
    if (incoming.type !== 'final') throw new Error(incoming.type);
    const judged = judgeFinal({
      htlc,
      payload: incoming.payload,
      invoice,
      policy: { acceptKeysend: false, minAmountMsat: 1n },
      blockHeight,
      nowMs: timestamp * 1000,
      isSeen: () => false,
    });
    if (judged.type !== 'part') throw new Error(judged.cause);
    return sets.add({
      part: judged.set,
      ref: { channelId: new Uint8Array(32), htlcId: BigInt(id) },
      sharedSecret: incoming.sharedSecret,
      peer: '02',
      nowMs: timestamp * 1000,
      blockHeight,
    });
  };
  expect(pay(1, 20_000n)).toEqual({ type: 'incomplete', ended: [] });
  expect(pay(2, 20_000n)).toEqual({ type: 'incomplete', ended: [] });
  const last = pay(3, 50_000n);
  if (last.type !== 'complete') throw new Error(last.type);
  expect(last.set).toMatchObject({ amountMsat: 90_000n, preimage });
  expect(last.set.parts.map(({ ref }) => ref.htlcId)).toEqual([1n, 2n, 3n]);
});
