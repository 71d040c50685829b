import { networks } from '@rivulet/chain';
import { ByteReader, bytesToHex, hexToBytes, RivuletError } from '@rivulet/core/bytes';
import {
  type AcceptPolicy,
  type AwaitingAccept,
  type AwaitingFundingCreated,
  type AwaitingFundingSigned,
  acceptOpening,
  type Channel,
  type ChannelFormat,
  channelIdOf,
  fundingCreated,
  type OpeningContext,
  type OpeningLimits,
  openingFeatures,
  receiveAcceptChannel,
  receiveFundingCreated,
  receiveFundingSigned,
  startOpening,
} from '@rivulet/core/channel';
import type { Transaction } from '@rivulet/core/tx';
import {
  type AcceptChannel,
  type FundingCreated,
  type FundingSigned,
  hasFeature,
  type Message,
  type OpenChannel,
  printableData,
} from '@rivulet/core/wire';
import type { Logger } from '../logging/logger.js';
import { channelLogger, peerLogger } from '../logging/logger.js';
import type { PeerInfo, Scheduler } from '../peers/index.js';
import type { Wallet } from '../wallet/index.js';
import type { BlockObserver } from './chainSync.js';
import { isForAllChannels, type OpeningMessage } from './channelMessages.js';
import type { OpeningReceiver } from './channelRouter.js';
import { anchorChannels, fundWithReserve } from './feeReserve.js';
import type { FundingStore } from './fundingStore.js';
import { OpeningError } from './openingError.js';
import type { Signers } from './signers.js';
import { channelKey, type Turn, type Turns } from './turns.js';

export interface OpenOptions {
  readonly peer: PeerInfo;
  readonly capacitySat: bigint;
  readonly pushMsat: bigint;
  readonly commitment: ChannelFormat['commitment'];
  /** Whether all the network hears of the channel; unless it is true, nobody does. */
  readonly announce?: boolean;
  /** Of the funding transaction and of the first commitment. */
  readonly fundingFeeratePerKw: number;
  readonly commitmentFeeratePerKw: number;
}

export interface OpeningsOptions {
  readonly turns: Turns;
  readonly wallet: Wallet;
  readonly signers: Signers;
  readonly fundings: FundingStore;
  readonly limits: OpeningLimits;
  readonly policy: AcceptPolicy;
  readonly scheduler: Scheduler;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly logger: Logger;
  readonly blockHeight: () => number;
  /** Why no channel can be begun now, for whoever asked; `undefined` where one can. */
  readonly whyNotAccepting: () => string | undefined;
  readonly send: (nodeId: string, messages: readonly Message[]) => void;
  /** Resolves after the first attempt, whatever came of it. */
  readonly publish: (tx: Transaction, purpose: string) => Promise<void>;
}

type Opening =
  | { readonly side: 'opener'; state: AwaitingAccept; request: OpenOptions }
  | { readonly side: 'opener'; state: AwaitingFundingSigned; request: OpenOptions; fundingTx: Transaction }
  | { readonly side: 'accepter'; state: AwaitingFundingCreated };

interface Waiter {
  /** Of the opening: it changes when the channel gets its id. */
  key: string;
  readonly resolve: (channel: Channel) => void;
  readonly reject: (error: Error) => void;
  cancelTimer: () => void;
}

/** How long a peer may take for all its answers until the channel is signed. */
const answerTimeoutMs = 60_000;
/** Openings that one peer may have begun with us at a time (threat 11). */
const maxOpeningsPerPeer = 2;
/** Channels of one peer, and of all, whose funding transaction we have not seen yet (threat 10). */
const maxUnfundedPerPeer = 4;
const maxUnfunded = 200;
/** BOLT 2: blocks after which the accepter forgets a channel whose funding transaction has not come. */
const forgetAfterBlocks = 2016;

/**
 * Channels in the making, on both sides. Nothing is stored before the first commitment is signed; then the
 * channel is in the database before the peer, or the chain, hears of it.
 */
export class Openings implements OpeningReceiver, BlockObserver {
  readonly #options: OpeningsOptions;
  /** By peer, then by temporary_channel_id, or by channel_id once that is known. */
  readonly #openings = new Map<string, Map<string, Opening>>();
  readonly #waiters = new Map<string, Waiter>();
  /** What takes the present turn's changes to the openings back, the last one last. */
  #undo: (() => void)[] = [];

  constructor(options: OpeningsOptions) {
    this.#options = options;
  }

  /**
   * Opens a channel. Resolves when it is signed and its funding transaction is published.
   * @throws OpeningError, WalletError, ChannelRefusal: then no coins were spent.
   */
  open(request: OpenOptions): Promise<Channel> {
    const { peer } = request;
    this.#checkAccepting();
    const context = this.#context(peer);
    const temporaryChannelId = this.#options.randomBytes(32);
    const { opening, message } = startOpening({
      ...context,
      temporaryChannelId,
      format: this.#format(request),
      announce: request.announce === true,
      fundingSat: request.capacitySat,
      pushMsat: request.pushMsat,
      feeratePerKw: request.commitmentFeeratePerKw,
    });
    const key = bytesToHex(temporaryChannelId);
    this.#put({ nodeId: peer.nodeId, key, opening: { side: 'opener', state: opening, request } });
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { key, resolve, reject, cancelTimer: () => {} };
      this.#waiters.set(key, waiter);
      this.#startTimer(peer.nodeId, waiter);
      this.#options.send(peer.nodeId, [message]);
    });
  }

  #startTimer(nodeId: string, waiter: Waiter): void {
    const { turns, scheduler } = this.#options;
    waiter.cancelTimer = scheduler.schedule(answerTimeoutMs, () =>
      turns.enqueue({
        run: (turn) =>
          this.#end(turn, {
            nodeId,
            key: waiter.key,
            error: new OpeningError('peer_silent', 'the peer did not answer in a minute'),
          }),
        failed: () => this.#startTimer(nodeId, waiter),
      }),
    );
  }

  #format({ peer, commitment, announce }: OpenOptions): ChannelFormat {
    return {
      commitment,
      // A private channel is known by its alias alone, where both can.
      // BOLT 2: open_channel, sending node: no option_scid_alias with announce_channel
      scidAlias: announce !== true && hasFeature(peer.features, 'scidAlias'),
      zeroConf: false,
    };
  }

  #context(peer: PeerInfo): OpeningContext {
    const { randomBytes, signers, limits, wallet } = this.#options;
    const channelKeyId = randomBytes(32);
    return {
      chainHash: networks[wallet.network].chainHash,
      remoteNodeId: hexToBytes(peer.nodeId),
      channelKeyId,
      signer: signers.create(channelKeyId),
      limits,
      features: openingFeatures(peer.features),
      localAlias: new ByteReader(randomBytes(8)).u64(),
    };
  }

  #get(nodeId: string, key: string): Opening | undefined {
    return this.#openings.get(nodeId)?.get(key);
  }

  /** Puts or, without an opening, removes one. */
  #put({ nodeId, key, opening }: { nodeId: string; key: string; opening?: Opening | undefined }): void {
    const openings = this.#openings.get(nodeId) ?? new Map<string, Opening>();
    if (opening === undefined) openings.delete(key);
    else openings.set(key, opening);
    if (openings.size === 0) this.#openings.delete(nodeId);
    else this.#openings.set(nodeId, openings);
  }

  /** The same in a turn, so that it can be taken back with it. */
  #change(turn: Turn, { nodeId, key, opening }: { nodeId: string; key: string; opening?: Opening }): void {
    const before = this.#get(nodeId, key);
    this.#noteUndo(turn, () => this.#put({ nodeId, key, opening: before }));
    this.#put({ nodeId, key, opening });
  }

  #noteUndo(turn: Turn, undo: () => void): void {
    if (this.#undo.length === 0) {
      turn.afterCommit(() => {
        this.#undo = [];
      });
    }
    this.#undo.push(undo);
  }

  /** The turn was rolled back: the openings are as they were before it, for it runs again or its messages are lost. */
  rollBack(): void {
    for (const undo of this.#undo.reverse()) undo();
    this.#undo = [];
  }

  receive(turn: Turn, { peer, message }: { peer: PeerInfo; message: OpeningMessage }): void {
    const { nodeId } = peer;
    const key = bytesToHex('channelId' in message ? message.channelId : message.temporaryChannelId);
    try {
      switch (message.type) {
        case 'open_channel':
          this.#receiveOpen(turn, { peer, message, key });
          return;
        case 'accept_channel':
          this.#receiveAccept(turn, { peer, message, key });
          return;
        case 'funding_created':
          this.#receiveCreated(turn, { peer, message, key });
          return;
        case 'funding_signed':
          this.#receiveSigned(turn, { peer, message, key });
      }
    } catch (error) {
      if (!(error instanceof RivuletError) || error.name === 'StorageError') throw error;
      const id = 'channelId' in message ? message.channelId : message.temporaryChannelId;
      const data = Uint8Array.from(error.message, (character) => character.charCodeAt(0) & 0x7f);
      turn.send(nodeId, { type: 'error', channelId: id, data });
      turn.afterCommit(() =>
        peerLogger(this.#options.logger, nodeId).debug(
          { code: error.code },
          `opening failed: ${error.message}`,
        ),
      );
      // An open_channel that is refused has begun nothing; its id may be that of another opening.
      if (message.type !== 'open_channel') this.#end(turn, { nodeId, key, error });
    }
  }

  #receiveOpen(turn: Turn, from: { peer: PeerInfo; message: OpenChannel; key: string }): void {
    const { peer, message: open, key } = from;
    const { nodeId } = peer;
    // BOLT 2: open_channel: temporary_channel_id is unique between the two; one of ours may be meant as well
    if (this.#get(nodeId, key) !== undefined) {
      throw new OpeningError(
        'message_unexpected',
        'a channel with this temporary_channel_id is being opened',
      );
    }
    this.#checkAccepting();
    this.#checkRoom(turn, nodeId);
    const { policy } = this.#options;
    const { opening, message } = acceptOpening({ ...this.#context(peer), open, policy });
    this.#change(turn, { nodeId, key, opening: { side: 'accepter', state: opening } });
    turn.send(nodeId, message);
  }

  #checkAccepting(): void {
    const why = this.#options.whyNotAccepting();
    if (why !== undefined) throw new OpeningError('not_accepting', why);
  }

  /** Threats 10 and 11: what a peer begins and does not finish is bounded. */
  #checkRoom(turn: Turn, nodeId: string): void {
    const openings = [...(this.#openings.get(nodeId)?.values() ?? [])];
    if (openings.filter(({ side }) => side === 'accepter').length >= maxOpeningsPerPeer) {
      throw new OpeningError('too_many_openings', 'finish the channels that you have begun to open first');
    }
    let unfunded = 0;
    let ofPeer = 0;
    for (const channel of turn.channels.values()) {
      if (!isUnfunded(channel)) continue;
      unfunded++;
      if (bytesToHex(channel.params.remoteNodeId) === nodeId) ofPeer++;
    }
    if (ofPeer >= maxUnfundedPerPeer || unfunded >= maxUnfunded) {
      throw new OpeningError('too_many_openings', 'too many channels wait for their funding transactions');
    }
  }

  /** Forgets channels whose funding transactions never came. */
  processBlock(turn: Turn, { height }: { height: number }): void {
    const { fundings, logger } = this.#options;
    for (const [key, channel] of turn.channels) {
      // BOLT 2: funding_signed, recipient side: should forget the channel after 2016 blocks without its funding
      if (!isUnfunded(channel) || channel.phase.name === 'open') continue;
      if (height - (fundings.openedAt(key) ?? height) < forgetAfterBlocks) continue;
      turn.removeChannel(key);
      fundings.forget(turn.tx, key);
      turn.afterCommit(() =>
        channelLogger(logger, key).info('the peer never funded this channel; it is forgotten'),
      );
    }
  }

  undoBlock(): void {}

  #receiveAccept(turn: Turn, from: { peer: PeerInfo; message: AcceptChannel; key: string }): void {
    const { peer, message: accept, key } = from;
    const { nodeId } = peer;
    const opening = this.#get(nodeId, key);
    if (opening?.side !== 'opener' || opening.state.state !== 'awaiting_accept') {
      throw new OpeningError('message_unexpected', 'accept_channel for no open_channel');
    }
    const { request } = opening;
    const agreed = receiveAcceptChannel(opening.state, accept, this.#options.policy);
    const funding = { script: agreed.fundingScript, valueSat: agreed.fundingSat };
    const funded = fundWithReserve(this.#options.wallet, {
      funding,
      feeratePerKw: request.fundingFeeratePerKw,
      tx: turn.tx,
      channels: anchorChannels(turn.channels.values()) + (request.commitment === 'anchors' ? 1 : 0),
    });
    const index = funded.tx.outputs.findIndex(
      ({ script, valueSat }) =>
        valueSat === agreed.fundingSat && bytesToHex(script) === bytesToHex(agreed.fundingScript),
    );
    const outpoint = { txid: funded.txid, index };
    const { opening: state, message } = fundingCreated(agreed, { outpoint });
    const channelId = bytesToHex(channelIdOf(outpoint));
    this.#change(turn, { nodeId, key });
    this.#change(turn, {
      nodeId,
      key: channelId,
      opening: { side: 'opener', state, request, fundingTx: funded.tx },
    });
    this.#noteUndo(turn, () => this.#renameWaiter(channelId, key));
    this.#renameWaiter(key, channelId);
    turn.send(nodeId, message);
  }

  #renameWaiter(from: string, to: string): void {
    const waiter = this.#waiters.get(from);
    if (waiter === undefined) return;
    this.#waiters.delete(from);
    waiter.key = to;
    this.#waiters.set(to, waiter);
  }

  #receiveCreated(turn: Turn, from: { peer: PeerInfo; message: FundingCreated; key: string }): void {
    const { peer, message: created, key } = from;
    const { nodeId } = peer;
    const opening = this.#get(nodeId, key);
    if (opening?.side !== 'accepter') {
      throw new OpeningError('message_unexpected', 'funding_created for no accept_channel');
    }
    this.#change(turn, { nodeId, key });
    const { channel, message } = receiveFundingCreated(opening.state, created);
    if (turn.channels.has(channelKey(channel.params.channelId))) {
      throw new OpeningError('message_unexpected', 'there is a channel with this funding output');
    }
    this.#add(turn, channel);
    this.#options.fundings.putOpenedAt(turn.tx, {
      key: channelKey(channel.params.channelId),
      height: this.#options.blockHeight(),
    });
    turn.send(nodeId, message);
  }

  #receiveSigned(turn: Turn, from: { peer: PeerInfo; message: FundingSigned; key: string }): void {
    const { peer, message: signed, key } = from;
    const { nodeId } = peer;
    const opening = this.#get(nodeId, key);
    if (opening?.side !== 'opener' || opening.state.state !== 'awaiting_funding_signed') {
      throw new OpeningError('message_unexpected', 'funding_signed for no funding_created');
    }
    const { fundingTx, state } = opening as Extract<Opening, { fundingTx: Transaction }>;
    const { channel } = receiveFundingSigned(state, signed);
    this.#change(turn, { nodeId, key });
    // First what can be refused: then nothing of the channel is stored.
    this.#options.wallet.addUnconfirmed(fundingTx, turn.tx);
    this.#add(turn, channel);
    this.#options.fundings.put(turn.tx, { key, tx: fundingTx });
    turn.afterCommit(() => {
      // Who opened the channel may look for its transaction, or mine it, as soon as the answer is there.
      this.#finish(key, { channel, published: this.#options.publish(fundingTx, 'funding') });
    });
  }

  #add(turn: Turn, channel: Channel): void {
    const key = channelKey(channel.params.channelId);
    turn.addChannel(channel);
    // Where a close pays us: P2WPKH, to which every peer pays, and which can pay fees of anchor channels later.
    const { script } = this.#options.wallet.newAddress({ type: 'p2wpkh', tx: turn.tx });
    this.#options.fundings.putClosingScript(turn.tx, { key, script });
  }

  receiveError(
    turn: Turn,
    { nodeId, channelId, data }: { nodeId: string; channelId: Uint8Array; data: Uint8Array },
  ): void {
    const text = printableData(data.subarray(0, 300));
    const error = new OpeningError('rejected_by_peer', `the peer refused: ${text}`);
    const keys = isForAllChannels(channelId)
      ? [...(this.#openings.get(nodeId)?.keys() ?? [])]
      : [bytesToHex(channelId)];
    for (const key of keys) this.#end(turn, { nodeId, key, error });
    turn.afterCommit(() =>
      peerLogger(this.#options.logger, nodeId).debug(
        { text },
        'the peer sent an error for no channel of ours',
      ),
    );
  }

  disconnected(turn: Turn, nodeId: string): void {
    const error = new OpeningError('disconnected', 'the peer disconnected before the channel was signed');
    for (const key of [...(this.#openings.get(nodeId)?.keys() ?? [])])
      this.#end(turn, { nodeId, key, error });
  }

  #finish(key: string, { channel, published }: { channel: Channel; published: Promise<void> }): void {
    const waiter = this.#waiters.get(key);
    this.#waiters.delete(key);
    waiter?.cancelTimer();
    void published.then(() => waiter?.resolve(channel));
  }

  /** Ends an opening; the coins that were set aside for it are free again. */
  #end(turn: Turn, { nodeId, key, error }: { nodeId: string; key: string; error: Error }): void {
    const opening = this.#get(nodeId, key);
    if (opening === undefined) return;
    this.#change(turn, { nodeId, key });
    if ('fundingTx' in opening) {
      this.#options.wallet.release(opening.state.unsigned.params.fundingOutpoint.txid, turn.tx);
    }
    if (opening.side === 'accepter') return;
    turn.afterCommit(() => {
      const waiter = this.#waiters.get(key);
      this.#waiters.delete(key);
      waiter?.cancelTimer();
      waiter?.reject(error);
    });
  }
}

/** A channel of a peer whose funding transaction no block has shown us, whatever else became of it. */
function isUnfunded({ params, phase, readiness }: Channel): boolean {
  if (params.localIsOpener || readiness.fundingConfirmed !== undefined) return false;
  return phase.name !== 'spent' && phase.name !== 'closed';
}
