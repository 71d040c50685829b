import type { Channel, PartyParams } from '../../channel/channel.js';
import {
  acceptLocalCommitment,
  buildRemoteCommitment,
  completeLocalCommitment,
} from '../../channel/commitments.js';
import { receiveCommitmentSigned, receiveRevokeAndAck, signIfPending } from '../../channel/committing.js';
import type { Htlc, Settlement } from '../../channel/htlc.js';
import { type ArchivedHtlc, decodeArchivedHtlc, encodeArchivedHtlc } from '../../channel/htlcCodec.js';
import { HtlcTable } from '../../channel/htlcTable.js';
import { offerFee, offerHtlc, receiveFee, receiveRemoval, settleHtlc } from '../../channel/offering.js';
import { receiveAdd } from '../../channel/receiving.js';
import { type ChannelMessage, type StepContext, StepDraft } from '../../channel/step.js';
import { sha256 } from '../../crypto/index.js';
import { deriveChannelSecrets, InMemoryChannelSigner, ShachainStore } from '../../keys/index.js';
import {
  type ChannelType,
  fundingScript,
  type Outpoint,
  signRemoteCommitment,
  type Transaction,
} from '../../tx/index.js';

export interface ChannelPairOptions {
  readonly channelType: ChannelType;
  readonly fundingSat: bigint;
  /** Spends nothing yet: the funding transaction that pays to `script`. */
  fund(script: Uint8Array): Outpoint;
  /** Alice's balance; she is the opener. Default: half of the channel. */
  readonly aliceMsat?: bigint;
  readonly feeratePerKw?: number;
  /** What each asks of the other. Default: 10 for Alice's money, 12 for Bob's. */
  readonly toSelfDelays?: { readonly alice: number; readonly bob: number };
}

export type Party = 'alice' | 'bob';

/** One side of a channel in a test: its value, its signer and what its steps archived. */
export interface Side {
  channel: Channel;
  readonly signer: InMemoryChannelSigner;
  readonly archived: ArchivedHtlc[];
  /** Messages that it sent and the other has not read. */
  readonly outbox: ChannelMessage[];
}

function party(signer: InMemoryChannelSigner, toSelfDelay: number): PartyParams {
  return {
    ...signer.basepoints,
    dustLimitSat: 354n,
    maxHtlcValueInFlightMsat: 100_000_000_000n,
    channelReserveSat: 1_000n,
    htlcMinimumMsat: 1n,
    toSelfDelay,
    maxAcceptedHtlcs: 483,
  };
}

const policy = {
  maxDustExposureMsat: 50_000_000n,
  minFeeratePerKw: 253,
  maxFeeratePerKw: 100_000,
  closingFeeratePerKw: 253,
};

/**
 * Two channels that mirror one another and talk through the channel's own code: what is signed, revoked and
 * archived is real, so that every old and new commitment of either side can be published.
 */
export class ChannelPair {
  readonly alice: Side;
  readonly bob: Side;
  blockHeight = 0;

  constructor(options: ChannelPairOptions) {
    const { channelType, fundingSat, feeratePerKw = 1_000 } = options;
    const { toSelfDelays = { alice: 12, bob: 10 } } = options;
    const signers = [1, 2].map((fill) => {
      const seed = new Uint8Array(32).fill(fill);
      return new InMemoryChannelSigner(deriveChannelSecrets(seed, new Uint8Array(32).fill(7)));
    }) as [InMemoryChannelSigner, InMemoryChannelSigner];
    const [aliceSigner, bobSigner] = signers;
    const fundingOutpoint = options.fund(
      fundingScript(aliceSigner.basepoints.fundingPubkey, bobSigner.basepoints.fundingPubkey),
    );
    const aliceMsat = options.aliceMsat ?? (fundingSat * 1000n) / 2n;
    const parties = {
      alice: party(aliceSigner, toSelfDelays.alice),
      bob: party(bobSigner, toSelfDelays.bob),
    };
    const side = (own: Party, other: Party): Side => {
      const signer = own === 'alice' ? aliceSigner : bobSigner;
      const otherSigner = own === 'alice' ? bobSigner : aliceSigner;
      const bobMsat = fundingSat * 1000n - aliceMsat;
      const channel: Channel = {
        params: {
          channelId: fundingOutpoint.txid,
          remoteNodeId: otherSigner.basepoints.fundingPubkey,
          channelKeyId: new Uint8Array(32).fill(7),
          format: { commitment: channelType, scidAlias: false, zeroConf: false },
          localIsOpener: own === 'alice',
          announce: false,
          fundingOutpoint,
          fundingSat,
          minimumDepth: 1,
          local: parties[own],
          remote: parties[other],
          pushMsat: bobMsat,
        },
        phase: { name: 'open' },
        link: 'online',
        simpleClose: false,
        dataLost: false,
        localMsat: own === 'alice' ? aliceMsat : bobMsat,
        remoteMsat: own === 'alice' ? bobMsat : aliceMsat,
        htlcs: HtlcTable.empty,
        offeredMsat: 0n,
        receivedMsat: 0n,
        nextOfferedId: 0n,
        nextReceivedId: 0n,
        fee: { feeratePerKw, updates: [] },
        localCommit: { number: 0n, signature: new Uint8Array(64), htlcSignatures: [] },
        remoteCommit: {
          number: 0n,
          awaitingRevocation: false,
          currentPoint: otherSigner.perCommitmentPoint(0n),
          nextPoint: otherSigner.perCommitmentPoint(1n),
        },
        revocations: ShachainStore.empty,
        lastSent: 'none',
        unsignedChanges: false,
        readiness: { localSent: true, remoteReceived: true },
        shutdown: { localSent: false },
        negotiation: {},
        closingTransactions: [],
      };
      return { channel, signer, archived: [], outbox: [] };
    };
    this.alice = side('alice', 'bob');
    this.bob = side('bob', 'alice');
    for (const [own, other] of [
      [this.alice, this.bob],
      [this.bob, this.alice],
    ] as const) {
      const signatures = signRemoteCommitment(other.signer, buildRemoteCommitment(other.channel));
      const { channel, signer } = own;
      own.channel = {
        ...channel,
        localCommit: acceptLocalCommitment(channel, { signer, number: 0n, signatures }),
      };
    }
  }

  other(of: Party): Side {
    return of === 'alice' ? this.bob : this.alice;
  }

  /** Runs a part of the channel's code on one side; its messages go to its outbox. */
  run(on: Party, work: (draft: StepDraft) => void): void {
    const side = this[on];
    const context: StepContext = { blockHeight: this.blockHeight, signer: side.signer, policy };
    const draft = new StepDraft(side.channel, context);
    work(draft);
    const { channel, store, effects } = draft.finish();
    side.channel = channel;
    for (const action of store) {
      if (action.type !== 'archiveHtlc') continue;
      side.archived.push(decodeArchivedHtlc(encodeArchivedHtlc(action.htlc), action.htlc));
    }
    for (const effect of effects) if (effect.type === 'send') side.outbox.push(effect.message);
  }

  /** Adds an HTLC without committing it. @returns its id */
  offer(from: Party, htlc: { amountMsat: bigint; preimage: Uint8Array; cltvExpiry: number }): bigint {
    const { amountMsat, preimage, cltvExpiry } = htlc;
    const id = this[from].channel.nextOfferedId;
    const paymentHash = sha256(preimage);
    this.run(from, (draft) =>
      offerHtlc(draft, {
        requestId: '',
        htlc: { amountMsat, paymentHash, cltvExpiry, onion: new Uint8Array(1366) },
      }),
    );
    return id;
  }

  /** Adds an HTLC and has both sides commit to it. @returns its id */
  add(from: Party, htlc: { amountMsat: bigint; preimage: Uint8Array; cltvExpiry: number }): bigint {
    const id = this.offer(from, htlc);
    this.commit();
    return id;
  }

  /** The receiver of an HTLC settles it, on its own side alone. */
  settle(by: Party, id: bigint, settlement: Settlement): void {
    this.run(by, (draft) => settleHtlc(draft, { id, settlement }));
  }

  /** The opener changes the feerate, without committing it. */
  changeFee(feeratePerKw: number): void {
    this.run('alice', (draft) => offerFee(draft, feeratePerKw));
  }

  /** Hands over the next message of a side. @returns false when there was none */
  deliver(from: Party): boolean {
    const message = this[from].outbox.shift();
    if (message === undefined) return false;
    this.run(from === 'alice' ? 'bob' : 'alice', (draft) => {
      switch (message.type) {
        case 'update_add_htlc':
          receiveAdd(draft, message);
          break;
        case 'update_fulfill_htlc':
        case 'update_fail_htlc':
        case 'update_fail_malformed_htlc':
          receiveRemoval(draft, message);
          break;
        case 'update_fee':
          receiveFee(draft, message);
          break;
        case 'commitment_signed':
          receiveCommitmentSigned(draft, message);
          break;
        case 'revoke_and_ack':
          receiveRevokeAndAck(draft, message);
          break;
        default:
          throw new Error(`a test sent ${message.type}`);
      }
    });
    return true;
  }

  /** Signs on both sides and delivers everything until nothing waits. */
  commit(): void {
    for (let quiet = false; !quiet; ) {
      const before = this.alice.channel.localCommit.number + this.bob.channel.localCommit.number;
      for (const on of ['alice', 'bob'] as const) {
        this.run(on, signIfPending);
        while (this.deliver('alice') || this.deliver('bob'));
      }
      quiet = before === this.alice.channel.localCommit.number + this.bob.channel.localCommit.number;
    }
  }

  /** The latest commitment of a side, ready to be published; of an older value of its channel: a revoked one. */
  commitmentOf(of: Party, channel: Channel = this[of].channel): Transaction {
    return completeLocalCommitment(channel, this[of].signer).tx;
  }

  /** An HTLC as one side has it now. */
  htlc(on: Party, reference: { direction: Htlc['direction']; id: bigint }): Htlc | undefined {
    return this[on].channel.htlcs.get(reference.direction, reference.id);
  }
}
