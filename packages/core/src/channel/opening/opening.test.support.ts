import { hexToBytes } from '../../bytes/index.js';
import { secp256k1, sha256 } from '../../crypto/index.js';
import { deriveChannelSecrets, InMemoryChannelSigner } from '../../keys/index.js';
import { type Transaction, txid, unsignedInput } from '../../tx/index.js';
import type { AcceptChannel, FundingCreated, FundingSigned, OpenChannel } from '../../wire/index.js';
import type { Channel } from '../channel.js';
import type { Announcer } from '../step.js';
import { type AcceptRequest, acceptOpening, receiveFundingCreated } from './accepter.js';
import {
  fundingCreated,
  type OpeningRequest,
  receiveAcceptChannel,
  receiveFundingSigned,
  startOpening,
} from './opener.js';
import {
  defaultAcceptPolicy,
  defaultOpeningLimits,
  defaultPeerTolerance,
  type OpeningFeatures,
} from './openingTerms.js';

const keyId = new Uint8Array(32).fill(7);
const secretsOf = (seed: number) => deriveChannelSecrets(new Uint8Array(32).fill(seed), keyId);

/** The signers of all tests: keys that stay the same make failures repeatable. */
export const openerSigner = new InMemoryChannelSigner(secretsOf(0xa1));
export const accepterSigner = new InMemoryChannelSigner(secretsOf(0xb2));

const chainHash = new Uint8Array(32).fill(0x0f);

/** The two nodes: each has the HTLC key of its channel for its own one. */
function announcerOf(seed: number): Announcer {
  const { htlcBasepointSecret } = secretsOf(seed);
  return {
    nodeId: secp256k1.publicKey(htlcBasepointSecret),
    chainHash,
    minimumDepth: 6,
    signWithNodeKey: (hash) => secp256k1.sign(hash, htlcBasepointSecret),
  };
}

export const openerAnnouncer = announcerOf(0xa1);
export const accepterAnnouncer = announcerOf(0xb2);
export const p2wpkhOf = (fill: number) => Uint8Array.from([0x00, 0x14, ...new Uint8Array(20).fill(fill)]);
export const p2trOf = (fill: number) => Uint8Array.from([0x51, 0x20, ...new Uint8Array(32).fill(fill)]);
/** 33 bytes with the right prefix whose x is no coordinate of the curve. */
export const offCurve = Uint8Array.from([0x02, ...new Uint8Array(31), 0x05]);

export const allFeatures: OpeningFeatures = {
  largeChannels: true,
  upfrontShutdown: true,
  anySegwit: true,
  simpleClose: true,
  staticRemoteKey: true,
  anchors: true,
  scidAlias: true,
  zeroConf: true,
  dualFund: false,
};

export function sampleRequest(overrides: Partial<OpeningRequest> = {}): OpeningRequest {
  return {
    chainHash,
    temporaryChannelId: new Uint8Array(32).fill(0x7e),
    remoteNodeId: accepterSigner.basepoints.htlcBasepoint,
    channelKeyId: keyId,
    signer: openerSigner,
    format: { commitment: 'anchors', scidAlias: false, zeroConf: false },
    announce: false,
    fundingSat: 1_000_000n,
    pushMsat: 200_000_500n,
    feeratePerKw: 1_000,
    limits: defaultOpeningLimits,
    features: allFeatures,
    localAlias: 0xa11a5n,
    ...overrides,
  };
}

export function acceptRequest(open: OpenChannel, overrides: Partial<AcceptRequest> = {}): AcceptRequest {
  return {
    open,
    chainHash,
    remoteNodeId: openerSigner.basepoints.htlcBasepoint,
    channelKeyId: keyId,
    signer: accepterSigner,
    limits: { ...defaultOpeningLimits, toSelfDelay: 72, dustLimitSat: 400n, htlcMinimumMsat: 7n },
    features: allFeatures,
    localAlias: 0xb0b0n,
    policy: defaultAcceptPolicy,
    ...overrides,
  };
}

/** A transaction that pays the channel. */
function fundingTxOf(script: Uint8Array, valueSat: bigint): Transaction {
  return {
    version: 2,
    lockTime: 0,
    inputs: [unsignedInput({ txid: sha256(Uint8Array.of(9)), index: 3 }, 0xfffffffd)],
    outputs: [
      { valueSat: 12_345n, script: p2wpkhOf(1) },
      { valueSat, script },
    ],
  };
}

export interface OpeningOptions {
  readonly opener?: Partial<OpeningRequest>;
  readonly accepter?: Partial<AcceptRequest>;
  /** Changes a message on its way. */
  readonly open?: (message: OpenChannel) => OpenChannel;
  readonly accept?: (message: AcceptChannel) => AcceptChannel;
  readonly created?: (message: FundingCreated) => FundingCreated;
  readonly signed?: (message: FundingSigned) => FundingSigned;
}

const same = <T>(message: T): T => message;

/** Opens a channel, from the first message to the last. */
export function openChannels(options: OpeningOptions = {}): {
  opener: Channel;
  accepter: Channel;
  open: OpenChannel;
  accept: AcceptChannel;
  fundingTx: Transaction;
} {
  const { open = same, accept = same, created = same, signed = same } = options;
  const started = startOpening(sampleRequest(options.opener));
  const accepted = acceptOpening(acceptRequest(open(started.message), options.accepter));
  const funding = receiveAcceptChannel(started.opening, accept(accepted.message), defaultPeerTolerance);
  const fundingTx = fundingTxOf(funding.fundingScript, funding.fundingSat);
  const funded = fundingCreated(funding, { outpoint: { txid: txid(fundingTx), index: 1 } });
  const { channel: accepter, message } = receiveFundingCreated(accepted.opening, created(funded.message));
  const { channel: opener } = receiveFundingSigned(funded.opening, signed(message));
  return { opener, accepter, open: started.message, accept: accepted.message, fundingTx };
}

const curveOrder = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** The same signature with its S above half of the curve's order: valid ECDSA that Bitcoin does not relay. */
export function withHighS(signature: Uint8Array): Uint8Array {
  let s = 0n;
  for (const byte of signature.subarray(32)) s = (s << 8n) | BigInt(byte);
  const changed = Uint8Array.from(signature);
  changed.set(hexToBytes((curveOrder - s).toString(16).padStart(64, '0')), 32);
  return changed;
}
