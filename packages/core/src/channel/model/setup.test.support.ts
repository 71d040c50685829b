import { ByteWriter, concatBytes } from '../../bytes/index.js';
import { hash160, secp256k1, sha256 } from '../../crypto/index.js';
import { deriveChannelSecrets, InMemoryChannelSigner, ShachainStore } from '../../keys/index.js';
import type { ChannelType } from '../../tx/index.js';
import type { Channel, ChannelParams, PartyParams } from '../channel.js';
import { acceptLocalCommitment, signNewestRemoteCommitment } from '../commitments.js';
import { HtlcTable } from '../htlcTable.js';
import type { Announcer, ChannelPolicy, StepContext } from '../step.js';

/** What one side asks of the other. */
export interface SideSetup {
  readonly dustLimitSat: bigint;
  readonly channelReserveSat: bigint;
  readonly htlcMinimumMsat: bigint;
  readonly maxAcceptedHtlcs: number;
  readonly maxHtlcValueInFlightMsat: bigint;
}

/** All that decides the channel that a run begins with. Alice opens it. */
export interface ChannelSetup {
  readonly commitment: ChannelType;
  readonly fundingSat: bigint;
  readonly pushMsat: bigint;
  readonly feeratePerKw: number;
  readonly maxDustExposureMsat: bigint;
  readonly announce: boolean;
  /** Of the funding transaction, when the run begins. */
  readonly confirmations: number;
  readonly alice: SideSetup;
  readonly bob: SideSetup;
}

const ordinarySide: SideSetup = {
  dustLimitSat: 546n,
  channelReserveSat: 10_000n,
  htlcMinimumMsat: 1n,
  maxAcceptedHtlcs: 30,
  maxHtlcValueInFlightMsat: 1_000_000_000n,
};

export const ordinarySetup: ChannelSetup = {
  commitment: 'anchors',
  fundingSat: 1_000_000n,
  pushMsat: 400_000_000n,
  feeratePerKw: 1_000,
  maxDustExposureMsat: 50_000_000n,
  announce: false,
  confirmations: 7,
  alice: ordinarySide,
  bob: { ...ordinarySide, dustLimitSat: 354n, channelReserveSat: 12_000n },
};

export const startHeight = 800_000;
export const minFeeratePerKw = 253;
export const maxFeeratePerKw = 20_000;

const secretsOf = (seed: number) =>
  deriveChannelSecrets(new Uint8Array(32).fill(seed), new Uint8Array(32).fill(7));

/** The signers of all runs: keys that stay the same make failures repeatable. */
export const aliceSigner = new InMemoryChannelSigner(secretsOf(0xa1));
export const bobSigner = new InMemoryChannelSigner(secretsOf(0xb0));

/** Each node has the HTLC key of its channel for its own one. */
function announcerOf(seed: number): Announcer {
  const { htlcBasepointSecret } = secretsOf(seed);
  return {
    nodeId: secp256k1.publicKey(htlcBasepointSecret),
    chainHash: new Uint8Array(32).fill(0x0f),
    minimumDepth: 6,
    signWithNodeKey: (hash) => secp256k1.sign(hash, htlcBasepointSecret),
  };
}

const announcers = new Map([
  [aliceSigner, announcerOf(0xa1)],
  [bobSigner, announcerOf(0xb0)],
]);

function policyOf(setup: ChannelSetup): ChannelPolicy {
  return {
    maxDustExposureMsat: setup.maxDustExposureMsat,
    minFeeratePerKw,
    maxFeeratePerKw,
    closingFeeratePerKw: 1_000,
  };
}

function partyParams(side: SideSetup, signer: InMemoryChannelSigner, toSelfDelay: number): PartyParams {
  return { ...side, ...signer.basepoints, toSelfDelay };
}

const fundingOutpoint = { txid: sha256(Uint8Array.of(1, 2, 3)), index: 0 };

/** A channel that is open and has been used for nothing yet, as both sides see it; both are offline. */
export function createChannels(setup: ChannelSetup): { alice: Channel; bob: Channel } {
  const alice = partyParams(setup.alice, aliceSigner, 144);
  const bob = partyParams(setup.bob, bobSigner, 96);
  const common = {
    channelId: fundingOutpoint.txid,
    channelKeyId: new Uint8Array(32).fill(7),
    format: { commitment: setup.commitment, scidAlias: false, zeroConf: false },
    announce: setup.announce,
    fundingOutpoint,
    fundingSat: setup.fundingSat,
    minimumDepth: 3,
    pushMsat: setup.pushMsat,
  };
  const drafts = {
    alice: draft(
      {
        ...common,
        remoteNodeId: bobSigner.basepoints.htlcBasepoint,
        localIsOpener: true,
        local: alice,
        remote: bob,
      },
      { setup, remote: bobSigner },
    ),
    bob: draft(
      {
        ...common,
        remoteNodeId: aliceSigner.basepoints.htlcBasepoint,
        localIsOpener: false,
        local: bob,
        remote: alice,
      },
      { setup, remote: aliceSigner },
    ),
  };
  return {
    alice: signed(drafts.alice, { own: aliceSigner, other: drafts.bob, otherSigner: bobSigner }),
    bob: signed(drafts.bob, { own: bobSigner, other: drafts.alice, otherSigner: aliceSigner }),
  };
}

function draft(
  params: ChannelParams,
  { setup, remote }: { setup: ChannelSetup; remote: InMemoryChannelSigner },
): Channel {
  const openerMsat = setup.fundingSat * 1000n - setup.pushMsat;
  return {
    params,
    phase: { name: 'open' },
    link: 'offline',
    simpleClose: false,
    dataLost: false,
    localMsat: params.localIsOpener ? openerMsat : setup.pushMsat,
    remoteMsat: params.localIsOpener ? setup.pushMsat : openerMsat,
    htlcs: HtlcTable.empty,
    offeredMsat: 0n,
    receivedMsat: 0n,
    nextOfferedId: 0n,
    nextReceivedId: 0n,
    fee: { feeratePerKw: setup.feeratePerKw, updates: [] },
    localCommit: { number: 0n, signature: new Uint8Array(64), htlcSignatures: [] },
    remoteCommit: {
      number: 0n,
      awaitingRevocation: false,
      currentPoint: remote.perCommitmentPoint(0n),
      nextPoint: remote.perCommitmentPoint(1n),
    },
    revocations: ShachainStore.empty,
    lastSent: 'none',
    unsignedChanges: false,
    readiness: {
      fundingConfirmed: { height: startHeight - setup.confirmations + 1, index: 1 },
      localSent: true,
      remoteReceived: true,
    },
    shutdown: { localSent: false },
    negotiation: {},
    closingTransactions: [],
  };
}

function signed(
  channel: Channel,
  {
    own,
    other,
    otherSigner,
  }: { own: InMemoryChannelSigner; other: Channel; otherSigner: InMemoryChannelSigner },
): Channel {
  const signatures = signNewestRemoteCommitment(other, otherSigner);
  return { ...channel, localCommit: acceptLocalCommitment(channel, { signer: own, number: 0n, signatures }) };
}

export function contextOf(
  setup: ChannelSetup,
  { signer, blockHeight }: { signer: InMemoryChannelSigner; blockHeight: number },
): StepContext {
  const announcer = announcers.get(signer);
  return {
    signer,
    blockHeight,
    policy: policyOf(setup),
    closingScript: closingScriptOf(signer),
    ...(announcer === undefined ? {} : { announcer }),
  };
}

/** Where a side wants to be paid at a cooperative close. */
export function closingScriptOf(signer: InMemoryChannelSigner): Uint8Array {
  return concatBytes(Uint8Array.of(0x00, 0x14), hash160(signer.basepoints.paymentBasepoint));
}

/** The preimage with a number: the same in every run. */
export function preimageOf(number: number): Uint8Array {
  return sha256(
    new ByteWriter(12)
      .bytes(Uint8Array.of(0x70, 0x72, 0x65))
      .u32(number)
      .finish(),
  );
}

/** An onion of the right length; what is in it does not concern the channel. */
export function onionOf(number: number): Uint8Array {
  return new Uint8Array(1366).fill(number & 0xff);
}

/** Goes beside every second onion. */
export function pathKeyOf(onion: Uint8Array): Uint8Array | undefined {
  return ((onion[0] ?? 0) & 1) === 1 ? aliceSigner.basepoints.htlcBasepoint : undefined;
}

/** Goes beside every second settlement; which ones the hash tells, as a preimage and as a failure. */
export function attributionOf(paymentHash: Uint8Array): Uint8Array | undefined {
  const [first = 0] = paymentHash;
  return (first & 1) === 1 ? new Uint8Array(920).fill(first) : undefined;
}
