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
import { peerLogger } from '../logging/logger.js';
import type { PeerInfo, Scheduler } from '../peers/index.js';
import type { Wallet } from '../wallet/index.js';
import type { OpeningMessage } from './channelMessages.js';
import type { OpeningReceiver } from './channelRouter.js';
import { fundWithReserve } from './feeReserve.js';
import type { FundingStore } from './fundingStore.js';
import { OpeningError } from './openingError.js';
import type { Signers } from './signers.js';
import { channelKey, type Turn, type Turns } from './turns.js';

export interface OpenOptions {
  readonly peer: PeerInfo;
  readonly capacitySat: bigint;
  readonly pushMsat: bigint;
  readonly commitment: ChannelFormat['commitment'];
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
  readonly send: (nodeId: string, messages: readonly Message[]) => void;
  readonly publish: (tx: Transaction, purpose: string) => void;
}

type Opening =
  | { readonly side: 'opener'; state: AwaitingAccept; request: OpenOptions }
  | { readonly side: 'opener'; state: AwaitingFundingSigned; request: OpenOptions; fundingTx: Transaction }
  | { readonly side: 'accepter'; state: AwaitingFundingCreated };

interface Waiter {
  readonly resolve: (channel: Channel) => void;
  readonly reject: (error: Error) => void;
  readonly cancelTimer: () => void;
}

/** How long a peer may take for all its answers until the channel is signed. */
const answerTimeoutMs = 60_000;
/** Openings that one peer may have begun with us at a time (threat 11). */
const maxOpeningsPerPeer = 2;
/** Channels of one peer, and of all, whose funding transaction we have not seen yet (threat 10). */
const maxUnfundedPerPeer = 4;
const maxUnfunded = 200;

/**
 * Channels in the making, on both sides. Nothing is stored before the first commitment is signed; then the
 * channel is in the database before the peer, or the chain, hears of it.
 */
export class Openings implements OpeningReceiver {
  readonly #options: OpeningsOptions;
  /** By peer, then by temporary_channel_id, or by channel_id once that is known. */
  readonly #openings = new Map<string, Map<string, Opening>>();
  readonly #waiters = new Map<string, Waiter>();

  constructor(options: OpeningsOptions) {
    this.#options = options;
  }

  /**
   * Opens a channel. Resolves when it is signed and its funding transaction is published.
   * @throws OpeningError, WalletError, ChannelRefusal: then no coins were spent.
   */
  open(request: OpenOptions): Promise<Channel> {
    const { peer } = request;
    const context = this.#context(peer);
    const temporaryChannelId = this.#options.randomBytes(32);
    const { opening, message } = startOpening({
      ...context,
      temporaryChannelId,
      format: this.#format(request),
      announce: false,
      fundingSat: request.capacitySat,
      pushMsat: request.pushMsat,
      feeratePerKw: request.commitmentFeeratePerKw,
    });
    const key = bytesToHex(temporaryChannelId);
    this.#of(peer.nodeId).set(key, { side: 'opener', state: opening, request });
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#options.scheduler.schedule(answerTimeoutMs, () =>
        this.#fail(peer.nodeId, key, new OpeningError('peer_silent', 'the peer did not answer in a minute')),
      );
      this.#waiters.set(key, { resolve, reject, cancelTimer });
      this.#options.send(peer.nodeId, [message]);
    });
  }

  #format({ peer, commitment }: OpenOptions): ChannelFormat {
    return {
      commitment,
      // A private channel is known by its alias alone, where both can.
      scidAlias: hasFeature(peer.features, 'scidAlias'),
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
      signer: signers.of(channelKeyId),
      limits,
      features: openingFeatures(peer.features),
      localAlias: new ByteReader(randomBytes(8)).u64(),
    };
  }

  #of(nodeId: string): Map<string, Opening> {
    const found = this.#openings.get(nodeId) ?? new Map<string, Opening>();
    this.#openings.set(nodeId, found);
    return found;
  }

  receive(turn: Turn, { peer, message }: { peer: PeerInfo; message: OpeningMessage }): void {
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
      turn.afterCommit(() => {
        peerLogger(this.#options.logger, peer.nodeId).info(
          { code: error.code },
          `opening failed: ${error.message}`,
        );
        this.#options.send(peer.nodeId, [{ type: 'error', channelId: id, data }]);
        this.#fail(peer.nodeId, key, error);
      });
    }
  }

  #receiveOpen(turn: Turn, from: { peer: PeerInfo; message: OpenChannel; key: string }): void {
    const { peer, message: open, key } = from;
    const openings = this.#of(peer.nodeId);
    this.#checkRoom(turn, peer.nodeId, openings);
    const { policy } = this.#options;
    const { opening, message } = acceptOpening({ ...this.#context(peer), open, policy });
    openings.set(key, { side: 'accepter', state: opening });
    turn.afterCommit(() => this.#options.send(peer.nodeId, [message]));
  }

  /** Threats 10 and 11: what a peer begins and does not finish is bounded. */
  #checkRoom(turn: Turn, nodeId: string, openings: ReadonlyMap<string, Opening>): void {
    const begun = [...openings.values()].filter(({ side }) => side === 'accepter').length;
    if (begun >= maxOpeningsPerPeer) {
      throw new OpeningError('too_many_openings', 'finish the channels that you have begun to open first');
    }
    let unfunded = 0;
    let ofPeer = 0;
    for (const { params, phase, readiness } of turn.channels.values()) {
      if (params.localIsOpener || phase.name !== 'awaiting_ready') continue;
      if (readiness.fundingConfirmed !== undefined) continue;
      unfunded++;
      if (bytesToHex(params.remoteNodeId) === nodeId) ofPeer++;
    }
    if (ofPeer >= maxUnfundedPerPeer || unfunded >= maxUnfunded) {
      throw new OpeningError('too_many_openings', 'too many channels wait for their funding transactions');
    }
  }

  #receiveAccept(turn: Turn, from: { peer: PeerInfo; message: AcceptChannel; key: string }): void {
    const { peer, message: accept, key } = from;
    const openings = this.#of(peer.nodeId);
    const opening = openings.get(key);
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
    });
    const index = funded.tx.outputs.findIndex(
      ({ script, valueSat }) =>
        valueSat === agreed.fundingSat && bytesToHex(script) === bytesToHex(agreed.fundingScript),
    );
    const outpoint = { txid: funded.txid, index };
    const { opening: state, message } = fundingCreated(agreed, { outpoint });
    openings.delete(key);
    const channelId = bytesToHex(channelIdOf(outpoint));
    openings.set(channelId, { side: 'opener', state, request, fundingTx: funded.tx });
    this.#renameWaiter(key, channelId);
    turn.afterCommit(() => this.#options.send(peer.nodeId, [message]));
  }

  #renameWaiter(from: string, to: string): void {
    const waiter = this.#waiters.get(from);
    if (waiter === undefined) return;
    this.#waiters.delete(from);
    this.#waiters.set(to, waiter);
  }

  #receiveCreated(turn: Turn, from: { peer: PeerInfo; message: FundingCreated; key: string }): void {
    const { peer, message: created, key } = from;
    const openings = this.#of(peer.nodeId);
    const opening = openings.get(key);
    if (opening?.side !== 'accepter') {
      throw new OpeningError('message_unexpected', 'funding_created for no accept_channel');
    }
    openings.delete(key);
    const { channel, message } = receiveFundingCreated(opening.state, created);
    if (turn.channels.has(channelKey(channel.params.channelId))) {
      throw new OpeningError('message_unexpected', 'there is a channel with this funding output');
    }
    this.#add(turn, channel);
    turn.afterCommit(() => this.#options.send(peer.nodeId, [message]));
  }

  #receiveSigned(turn: Turn, from: { peer: PeerInfo; message: FundingSigned; key: string }): void {
    const { peer, message: signed, key } = from;
    const openings = this.#of(peer.nodeId);
    const opening = openings.get(key);
    if (opening?.side !== 'opener' || opening.state.state !== 'awaiting_funding_signed') {
      throw new OpeningError('message_unexpected', 'funding_signed for no funding_created');
    }
    const { fundingTx, state } = opening as Extract<Opening, { fundingTx: Transaction }>;
    const { channel } = receiveFundingSigned(state, signed);
    openings.delete(key);
    this.#add(turn, channel);
    this.#options.fundings.put(turn.tx, { key, tx: fundingTx });
    this.#options.wallet.addUnconfirmed(fundingTx, turn.tx);
    turn.afterCommit(() => {
      this.#options.publish(fundingTx, 'funding');
      this.#finish(key, channel);
    });
  }

  #add(turn: Turn, channel: Channel): void {
    const key = channelKey(channel.params.channelId);
    turn.addChannel(channel);
    // Where a close pays us: P2WPKH, to which every peer pays, and which can pay fees of anchor channels later.
    const { script } = this.#options.wallet.newAddress({ type: 'p2wpkh', tx: turn.tx });
    this.#options.fundings.putClosingScript(turn.tx, { key, script });
  }

  receiveError({
    nodeId,
    channelId,
    data,
  }: {
    nodeId: string;
    channelId: Uint8Array;
    data: Uint8Array;
  }): void {
    const text = printableData(data).slice(0, 300);
    peerLogger(this.#options.logger, nodeId).info({ text }, 'the peer sent an error for no channel of ours');
    this.#fail(
      nodeId,
      bytesToHex(channelId),
      new OpeningError('rejected_by_peer', `the peer refused: ${text}`),
    );
  }

  disconnected(nodeId: string): void {
    for (const key of [...(this.#openings.get(nodeId)?.keys() ?? [])]) {
      this.#fail(
        nodeId,
        key,
        new OpeningError('disconnected', 'the peer disconnected before the channel was signed'),
      );
    }
    this.#openings.delete(nodeId);
  }

  /** A turn was lost and what it did here with it: all openings end, and peers may begin anew. */
  abortAll(error: Error): void {
    for (const nodeId of [...this.#openings.keys()]) {
      for (const key of [...this.#of(nodeId).keys()]) this.#fail(nodeId, key, error);
    }
  }

  #finish(key: string, channel: Channel): void {
    const waiter = this.#waiters.get(key);
    this.#waiters.delete(key);
    waiter?.cancelTimer();
    waiter?.resolve(channel);
  }

  /** Ends an opening; the coins that were set aside for it are free again. */
  #fail(nodeId: string, key: string, error: Error): void {
    const opening = this.#openings.get(nodeId)?.get(key);
    this.#openings.get(nodeId)?.delete(key);
    if (opening !== undefined && 'fundingTx' in opening) {
      const { txid } = opening.state.unsigned.params.fundingOutpoint;
      this.#options.turns.enqueue({ run: (turn) => void this.#options.wallet.release(txid, turn.tx) });
    }
    const waiter = this.#waiters.get(key);
    this.#waiters.delete(key);
    waiter?.cancelTimer();
    waiter?.reject(error);
  }
}
