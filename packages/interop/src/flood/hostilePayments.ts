import { randomBytes } from 'node:crypto';
import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { createSenderProof, senderProofType } from '@rivulet/keysend/proof';
import type { NodeProcess } from '../keysend/commandWorld.js';
import { persist } from './persist.js';

/** What somebody pushes who wants to be read for nothing, or to be in the way. */
export const hostileKinds = [
  'dust',
  'link',
  'banned words',
  'unsigned',
  'signed by another',
  'polite and many',
  'large, to be held',
] as const;
export type HostileKind = (typeof hostileKinds)[number];

export interface PushedPayment {
  readonly amountMsat: bigint;
  readonly preimage: string;
  readonly paymentHash: string;
  readonly records: Map<bigint, Uint8Array>;
}

const boostagramType = 7_629_169n;

/** A boost that its sender signs. */
export async function signedBoost(
  from: NodeProcess,
  given: { readonly recipient: string; readonly amountMsat: bigint; readonly message: string },
): Promise<PushedPayment> {
  const { recipient, amountMsat } = given;
  const payment = boost(given);
  const proof = await createSenderProof(
    { ...payment, recipient, sender: from.nodeId, signedAtMs: Date.now() },
    async (message) => (await persist(() => from.client.signMessage({ message }))).signature,
  );
  payment.records.set(senderProofType, proof);
  return { ...payment, amountMsat };
}

/** The n-th of a sender who means no good. */
export async function hostilePayment(
  from: NodeProcess,
  given: { readonly kind: HostileKind; readonly recipient: string; readonly n: number },
): Promise<PushedPayment> {
  const { kind, recipient, n } = given;
  const amountMsat = 50_000n;
  switch (kind) {
    case 'dust':
      return boost({ amountMsat: 1_000n, message: `dust ${n}` });
    case 'link':
      return signedBoost(from, {
        recipient,
        amountMsat,
        message: `win at hxxps://free.example/${n} free.example`,
      });
    case 'banned words':
      return signedBoost(from, { recipient, amountMsat, message: `c\u0430sin\u043e number ${n}` });
    case 'unsigned':
      return boost({ amountMsat, message: `hello ${n}` });
    case 'signed by another': {
      // A signature that was seen somewhere, put onto a payment of one's own.
      const seen = await signedBoost(from, { recipient, amountMsat, message: `seen ${n}` });
      const mine = boost({ amountMsat, message: `mine ${n}` });
      mine.records.set(senderProofType, seen.records.get(senderProofType) as Uint8Array);
      return mine;
    }
    case 'polite and many':
      return signedBoost(from, { recipient, amountMsat, message: `only number ${n}` });
    case 'large, to be held':
      return signedBoost(from, { recipient, amountMsat: 2_000_000n, message: `large ${n}` });
  }
}

function boost({ amountMsat, message }: { amountMsat: bigint; message: string }): PushedPayment {
  const preimage = Uint8Array.from(randomBytes(32));
  const boostagram = { action: 'boost', app_name: 'flood', message };
  return {
    amountMsat,
    preimage: bytesToHex(preimage),
    paymentHash: bytesToHex(sha256(preimage)),
    records: new Map([[boostagramType, utf8ToBytes(JSON.stringify(boostagram))]]),
  };
}
