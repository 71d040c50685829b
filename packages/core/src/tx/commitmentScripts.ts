import { concatBytes } from '../bytes/index.js';
import { hash160, ripemd160 } from '../crypto/index.js';
import type { CommitmentKeys } from '../keys/index.js';
import { OP, p2wpkhScript, p2wshScript, pushData, script, scriptNumber } from './script.js';
import type { ChannelType } from './weights.js';

/** The witness script of `to_local`, and of the output of HTLC-timeout and HTLC-success transactions. */
export function toLocalScript({
  revocationPubkey,
  localDelayedPubkey,
  toSelfDelay,
}: {
  revocationPubkey: Uint8Array;
  localDelayedPubkey: Uint8Array;
  toSelfDelay: number;
}): Uint8Array {
  return script(
    OP.IF,
    revocationPubkey,
    OP.ELSE,
    BigInt(toSelfDelay),
    OP.CHECKSEQUENCEVERIFY,
    OP.DROP,
    localDelayedPubkey,
    OP.ENDIF,
    OP.CHECKSIG,
  );
}

/** The output script of `to_remote`; anchor channels lock it for one block, by a witness script. */
export function toRemoteOutput(
  remotePaymentPubkey: Uint8Array,
  channelType: ChannelType,
): { script: Uint8Array; witnessScript?: Uint8Array } {
  if (channelType === 'static_remotekey') return { script: p2wpkhScript(remotePaymentPubkey) };
  const witnessScript = script(remotePaymentPubkey, OP.CHECKSIGVERIFY, OP.ONE, OP.CHECKSEQUENCEVERIFY);
  return { script: p2wshScript(witnessScript), witnessScript };
}

/** The witness script of the anchor of the owner of this funding key. */
export function anchorScript(fundingPubkey: Uint8Array): Uint8Array {
  return script(fundingPubkey, OP.CHECKSIG, OP.IFDUP, OP.NOTIF, OP.SIXTEEN, OP.CHECKSEQUENCEVERIFY, OP.ENDIF);
}

/** What an HTLC's script depends on, beside the commitment's keys. */
export interface HtlcScriptSpec {
  /** As the commitment's holder sees it. */
  direction: 'offered' | 'received';
  paymentHash: Uint8Array;
  cltvExpiry: number;
}

/**
 * The witness scripts of a commitment's HTLC outputs. All that they share is built once: a commitment
 * can have 966 of them.
 */
export function htlcScripts(
  keys: CommitmentKeys,
  channelType: ChannelType,
): (htlc: HtlcScriptSpec) => Uint8Array {
  const head = script(
    OP.DUP,
    OP.HASH160,
    hash160(keys.revocationPubkey),
    OP.EQUAL,
    OP.IF,
    OP.CHECKSIG,
    OP.ELSE,
    keys.remoteHtlcPubkey,
    OP.SWAP,
    OP.SIZE,
    32n,
    OP.EQUAL,
  );
  const multisig = script(OP.TWO, OP.SWAP, keys.localHtlcPubkey, OP.TWO, OP.CHECKMULTISIG);
  const tail =
    channelType === 'anchors'
      ? script(OP.ENDIF, OP.ONE, OP.CHECKSEQUENCEVERIFY, OP.DROP, OP.ENDIF)
      : script(OP.ENDIF, OP.ENDIF);
  const push20 = Uint8Array.of(20);

  const offeredStart = concatBytes(
    head,
    script(OP.NOTIF, OP.DROP),
    multisig,
    script(OP.ELSE, OP.HASH160),
    push20,
  );
  const offeredEnd = concatBytes(script(OP.EQUALVERIFY, OP.CHECKSIG), tail);
  const receivedStart = concatBytes(head, script(OP.IF, OP.HASH160), push20);
  const receivedMiddle = concatBytes(script(OP.EQUALVERIFY), multisig, script(OP.ELSE, OP.DROP));
  const receivedEnd = concatBytes(script(OP.CHECKLOCKTIMEVERIFY, OP.DROP, OP.CHECKSIG), tail);

  return ({ direction, paymentHash, cltvExpiry }) => {
    const hash = ripemd160(paymentHash);
    if (direction === 'offered') return concatBytes(offeredStart, hash, offeredEnd);
    const expiry = pushData(scriptNumber(BigInt(cltvExpiry)));
    return concatBytes(receivedStart, hash, receivedMiddle, expiry, receivedEnd);
  };
}
