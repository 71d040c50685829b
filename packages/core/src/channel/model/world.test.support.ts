import { bytesToHex, equalBytes, hexToBytes } from '../../bytes/index.js';
import { sha256 } from '../../crypto/index.js';
import { shachainIndex } from '../../keys/index.js';
import { txid } from '../../tx/index.js';
import { decodeMessage, encodeMessage } from '../../wire/index.js';
import { isAnnounced } from '../announcement.js';
import type { HtlcReference } from '../channelCodec.js';
import { buildLocalCommitment, buildRemoteCommitment } from '../commitments.js';
import type { Settlement } from '../htlc.js';
import type { ChannelMessage, Command } from '../step.js';
import { ModelFault, Party, UnseenDust } from './party.test.support.js';
import {
  aliceSigner,
  attributionOf,
  bobSigner,
  type ChannelSetup,
  closingScriptOf,
  createChannels,
  onionOf,
  pathKeyOf,
  preimageOf,
} from './setup.test.support.js';

export type SideName = 'alice' | 'bob';
export type SettlementKind = Settlement['type'];

/** How an amount is chosen: as it is, from the dust limit up, a share of the balance, the most that can be sent. */
export type Amount =
  | { readonly kind: 'most'; readonly lessMsat: number }
  | { readonly kind: 'msat'; readonly msat: number }
  | { readonly kind: 'aboveDust'; readonly msat: number }
  | { readonly kind: 'share'; readonly thousandths: number };

export interface Addition {
  readonly amount: Amount;
  /** The number of the preimage: two HTLCs with the same have the same hash. */
  readonly preimage: number;
  readonly expiryDelta: number;
}

/** One thing that happens in a run. */
export type Move =
  | { readonly move: 'add'; readonly side: SideName; readonly additions: readonly Addition[] }
  | { readonly move: 'settle'; readonly side: SideName; readonly index: number; readonly how: SettlementKind }
  | { readonly move: 'settleAll'; readonly side: SideName; readonly how: SettlementKind }
  | { readonly move: 'fee'; readonly feeratePerKw: number }
  | { readonly move: 'sign'; readonly side: SideName }
  | { readonly move: 'deliver'; readonly to: SideName; readonly count: number }
  | { readonly move: 'settleDown' }
  | { readonly move: 'disconnect' }
  /** With `synced` both channel_reestablish arrive before anything else happens. */
  | { readonly move: 'connect'; readonly synced: boolean }
  | { readonly move: 'crash'; readonly side: SideName }
  | {
      readonly move: 'lostTurn';
      readonly side: SideName;
      readonly count: number;
      readonly addition?: Addition;
    }
  | { readonly move: 'block' }
  /** The funding transaction is in another block now: one side sees it at once, the other with its next block. */
  | { readonly move: 'reorganise'; readonly side: SideName; readonly depth: number }
  | { readonly move: 'close'; readonly side: SideName };

export interface RunOptions {
  readonly setup: ChannelSetup;
  /** A commitment_signed at the end of each turn, as the driver does; else only where `sign` says so. */
  readonly eager: boolean;
  readonly simpleClose: boolean;
}

const other = { alice: 'bob', bob: 'alice' } as const;

function fault(text: string): never {
  throw new ModelFault(text);
}

/** Two parties with one channel, and what is on its way between them. */
export class World {
  readonly alice: Party;
  readonly bob: Party;
  readonly #options: RunOptions;
  readonly #queues: { alice: Uint8Array[]; bob: Uint8Array[] } = { alice: [], bob: [] };
  readonly #preimages = new Map<string, Uint8Array>();
  #connection: number | undefined;
  #connections = 0;
  #closeAsked = false;
  /** Of the funding transaction, once it has moved. */
  #place: { readonly height: number; readonly index: number } | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
    const channels = createChannels(options.setup);
    const party = (name: SideName, signer: typeof aliceSigner) => {
      const world = this;
      return new Party({
        name,
        signer,
        channel: channels[name],
        setup: options.setup,
        surroundings: {
          get connection() {
            return world.#connection;
          },
          send: (message) => this.#queues[other[name]].push(encodeMessage(message)),
        },
      });
    };
    this.alice = party('alice', aliceSigner);
    this.bob = party('bob', bobSigner);
    this.connect();
    this.#sync();
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** How many messages wait for a side. */
  waitingFor(side: SideName): number {
    return this.#queues[side].length;
  }

  do(move: Move): void {
    switch (move.move) {
      case 'add':
        this.#turn(move.side, this.#additions(move.side, move.additions));
        return;
      case 'settle': {
        const { waiting } = this[move.side];
        if (waiting.length === 0) return;
        this.#settle(move.side, [waiting[move.index % waiting.length] as bigint], move.how);
        return;
      }
      case 'settleAll':
        this.#settle(move.side, this[move.side].waiting, move.how);
        return;
      case 'fee':
        this.#turn('alice', [{ type: 'updateFee', feeratePerKw: move.feeratePerKw }]);
        return;
      case 'sign':
        this[move.side].turn([], { sign: true });
        return;
      case 'deliver':
        this.deliver(move.to, move.count);
        return;
      case 'settleDown':
        this.deliverAll();
        return;
      case 'disconnect':
        this.disconnect();
        return;
      case 'connect':
        if (this.connected) return;
        this.connect();
        if (move.synced) this.#sync();
        return;
      case 'crash':
        this.crash(move.side);
        return;
      case 'lostTurn':
        this.#loseTurn(move);
        return;
      case 'block':
        this.#block();
        return;
      case 'reorganise':
        this.#place = {
          height: this[move.side].blockHeight - move.depth + 1,
          index: (this.#place?.index ?? 1) + 1,
        };
        this.#turn(move.side, this.#toPlace(move.side));
        return;
      case 'close':
        this.#closeAsked = true;
        this.#turn(move.side, [{ type: 'close', script: closingScriptOf(this[move.side].signer) }]);
    }
  }

  #block(): void {
    for (const side of ['alice', 'bob'] as const) {
      this[side].blockHeight++;
      this.#turn(side, [...this.#toPlace(side), { type: 'block' }]);
    }
  }

  /** What tells a side where the funding transaction is, if it does not know. */
  #toPlace(side: SideName): Command[] {
    const seen = this[side].channel.readiness.fundingConfirmed;
    if (this.#place === undefined || seen?.index === this.#place.index) return [];
    return [{ type: 'fundingUnconfirmed' }, { type: 'fundingConfirmed', ...this.#place }];
  }

  #turn(side: SideName, commands: readonly Command[]): void {
    this[side].turn(commands, { sign: this.#options.eager });
  }

  #additions(side: SideName, additions: readonly Addition[]): Command[] {
    const party = this[side];
    return additions.map(({ amount, preimage: number, expiryDelta }) => {
      const preimage = preimageOf(number);
      const paymentHash = sha256(preimage);
      this.#preimages.set(bytesToHex(paymentHash), preimage);
      const onion = onionOf(number);
      const pathKey = pathKeyOf(onion);
      const htlc = {
        amountMsat: this.#amountMsat(side, amount),
        paymentHash,
        cltvExpiry: party.blockHeight + expiryDelta,
        onion,
        ...(pathKey === undefined ? {} : { pathKey }),
      };
      return { type: 'addHtlc', requestId: party.nextRequestId(), htlc };
    });
  }

  #amountMsat(side: SideName, amount: Amount): bigint {
    switch (amount.kind) {
      case 'msat':
        return BigInt(amount.msat);
      case 'aboveDust':
        return this[side].channel.params.local.dustLimitSat * 1000n + BigInt(amount.msat);
      case 'share':
        return (this[side].channel.localMsat * BigInt(amount.thousandths)) / 1000n;
      case 'most': {
        const mostMsat = this[side].mostMsat() - BigInt(amount.lessMsat);
        return mostMsat > 0n ? mostMsat : 1n;
      }
    }
  }

  #settle(side: SideName, ids: readonly bigint[], how: SettlementKind): void {
    const { ledger } = this[side];
    const commands = ids.map((id): Command => {
      const record = ledger.received.get(id) ?? fault(`${side} knows nothing of HTLC ${id}`);
      const kind = record.mustFail && how === 'fulfill' ? 'fail' : how;
      return { type: 'settleHtlc', id, settlement: this.#settlement(kind, record.paymentHash) };
    });
    if (commands.length > 0) this.#turn(side, commands);
  }

  #settlement(type: SettlementKind, paymentHash: string): Settlement {
    const attributionData = attributionOf(hexToBytes(paymentHash));
    const attribution = attributionData === undefined ? {} : { attributionData };
    switch (type) {
      case 'fulfill': {
        const preimage = this.#preimages.get(paymentHash) ?? fault('an unknown hash');
        return { type, preimage, ...attribution };
      }
      case 'fail':
        return { type, reason: new Uint8Array(292).fill(1), ...attribution };
      case 'fail_malformed':
        return { type, sha256OfOnion: new Uint8Array(32).fill(2), failureCode: 0xc005 };
    }
  }

  /** Delivers the next messages for a side in one turn of it. */
  deliver(to: SideName, count: number): void {
    const commands = this.#take(to, count);
    if (commands.length > 0) this.#turn(to, commands);
  }

  #take(to: SideName, count: number): Command[] {
    return this.#queues[to].splice(0, count).map((bytes) => {
      const message = decodeMessage(bytes) as ChannelMessage;
      if (!equalBytes(encodeMessage(message), bytes)) fault(`${message.type} is not encoded canonically`);
      return { type: 'message', message };
    });
  }

  deliverAll(): void {
    for (let rounds = 0; this.#queues.alice.length + this.#queues.bob.length > 0; rounds++) {
      if (rounds > 1_000) fault('the parties never stop sending');
      this.deliver('alice', 1_000);
      this.deliver('bob', 1_000);
    }
  }

  connect(): void {
    if (this.connected) return;
    this.#connection = this.#connections++;
    const { simpleClose } = this.#options;
    for (const side of ['alice', 'bob'] as const) this.#turn(side, [{ type: 'connected', simpleClose }]);
  }

  #sync(): void {
    this.deliver('alice', 1);
    this.deliver('bob', 1);
  }

  /** What is on its way is lost. */
  disconnect(): void {
    if (!this.connected) return;
    this.#cut();
    for (const side of ['alice', 'bob'] as const) this.#turn(side, [{ type: 'disconnected' }]);
  }

  #cut(): void {
    this.#connection = undefined;
    this.#queues.alice.length = 0;
    this.#queues.bob.length = 0;
  }

  crash(side: SideName): void {
    const wasConnected = this.connected;
    this.#cut();
    this[side].crash();
    if (wasConnected) this.#turn(other[side], [{ type: 'disconnected' }]);
  }

  /** A turn whose transaction the database refuses: the driver cuts the connection. */
  #loseTurn({ side, count, addition }: Move & { move: 'lostTurn' }): void {
    const wasConnected = this.connected;
    const commands = [
      ...this.#take(side, count),
      ...(addition === undefined ? [] : this.#additions(side, [addition])),
    ];
    this[side].turn(commands, { sign: this.#options.eager, fails: true });
    this.#cut();
    if (wasConnected) this.#turn(other[side], [{ type: 'disconnected' }]);
  }

  /** Lets everything come to its end and checks that both sides agree about it. */
  finish(): void {
    this.connect();
    for (let round = 0; ; round++) {
      if (round > 200) fault('the channel never comes to rest');
      this.deliverAll();
      let moved = false;
      for (const side of ['alice', 'bob'] as const) {
        const party = this[side];
        const { waiting } = party;
        const how = (['fulfill', 'fail', 'fulfill', 'fail_malformed'] as const)[round % 4] as SettlementKind;
        if (waiting.length > 0) this.#settle(side, waiting, how);
        party.turn([], { sign: true });
        moved ||= waiting.length > 0;
      }
      if (!moved && this.#queues.alice.length + this.#queues.bob.length === 0) break;
    }
    for (let block = 0; block < 8; block++) {
      this.#block();
      this.deliverAll();
    }
    this.#checkEnd();
  }

  #checkEnd(): void {
    const { alice, bob } = this;
    for (const [party, peer] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const { channel, name } = party;
      if (channel.htlcs.size > 0) fault(`${name} still has HTLCs`);
      if (party.store.rows.size > 0) fault(`${name} still has rows of HTLCs`);
      if (channel.unsignedChanges) fault(`${name} has unsigned changes`);
      if (channel.fee.updates.length > 0) fault(`${name} still has fee updates`);
      if (channel.remoteCommit.awaitingRevocation) fault(`${name} awaits a revocation`);
      if (channel.localMsat !== peer.channel.remoteMsat) fault('the balances differ');
      if (channel.nextOfferedId !== peer.channel.nextReceivedId) fault('the HTLC ids differ');
      this.#checkCommitments(party, peer);
      this.#checkOutcomes(party, peer);
    }
    if (alice.channel.fee.feeratePerKw !== bob.channel.fee.feeratePerKw) fault('the feerates differ');
    if (this.#closeAsked) this.#checkClosed();
    else this.#checkAnnounced();
  }

  #checkAnnounced(): void {
    const { announce } = this.#options.setup;
    const { alice, bob } = this;
    const announcements = [alice, bob].map(({ announcements }) => announcements.at(-1));
    if (!announce) {
      if (alice.announcements.length + bob.announcements.length > 0) fault('a private channel is announced');
      return;
    }
    if (announcements[0] === undefined) fault('the channel is not announced');
    if (announcements[0] !== announcements[1]) fault('the two announcements differ');
    if (!isAnnounced(alice.channel) || !isAnnounced(bob.channel)) fault('an announcement is not kept');
  }

  #checkCommitments(party: Party, peer: Party): void {
    const { number } = party.channel.localCommit;
    if (number !== peer.channel.remoteCommit.number) fault('the commitment numbers differ');
    const own = buildLocalCommitment(party.channel, { signer: party.signer, number });
    const seen = buildRemoteCommitment(peer.channel);
    if (!equalBytes(own.txid, seen.txid)) fault(`the two views of ${party.name}'s commitment differ`);
    for (let revoked = 0n; revoked < number; revoked += 1n) {
      const secret = peer.channel.revocations.lookup(shachainIndex(revoked));
      if (secret === undefined || !equalBytes(secret, party.signer.perCommitmentSecret(revoked))) {
        fault(`${peer.name} cannot punish ${party.name}'s commitment ${revoked}`);
      }
    }
  }

  #checkOutcomes(party: Party, peer: Party): void {
    const { setup } = this.#options;
    let paidMsat = 0n;
    for (const [id, { outcome, amountMsat }] of party.ledger.offered) {
      const received = peer.ledger.received.get(id) ?? fault(`${peer.name} never heard of HTLC ${id}`);
      if (received.state !== 'over') fault(`HTLC ${id} is ${received.state} at ${peer.name}`);
      const ended = received.settlement?.type === 'fulfill' ? 'fulfilled' : 'failed';
      if (outcome !== ended) fault(`HTLC ${id} is ${outcome} at ${party.name}, ${ended} at ${peer.name}`);
      if (outcome === 'fulfilled') paidMsat += amountMsat;
      this.#checkArchive(party, { direction: 'offered', id, amountMsat });
      this.#checkArchive(peer, { direction: 'received', id, amountMsat });
    }
    if (peer.ledger.received.size !== party.ledger.offered.size) fault('the HTLCs differ');
    let earnedMsat = 0n;
    for (const [id, { settlement }] of party.ledger.received) {
      if (settlement?.type === 'fulfill') earnedMsat += peer.ledger.offered.get(id)?.amountMsat ?? 0n;
    }
    const startMsat = party.name === 'alice' ? setup.fundingSat * 1000n - setup.pushMsat : setup.pushMsat;
    if (party.channel.localMsat !== startMsat - paidMsat + earnedMsat)
      fault(`${party.name}'s balance is wrong`);
  }

  /** What a penalty needs of an HTLC that is over, should a commitment that had it appear on chain. */
  #checkArchive(party: Party, { amountMsat, ...reference }: HtlcReference & { amountMsat: bigint }): void {
    const archived = party.store.archived(reference);
    const first = party.firstCommitments.get(`${reference.direction} ${reference.id}`);
    if (archived?.amountMsat !== amountMsat || archived.firstRemoteCommitment !== first) {
      fault(`${party.name} has not archived the ${reference.direction} HTLC ${reference.id} as it was`);
    }
  }

  #checkClosed(): void {
    const [alice, bob] = [this.alice, this.bob].map(({ channel }) => {
      if (channel.shutdown.localScript === undefined && channel.phase.name === 'open') return undefined;
      if (channel.phase.name !== 'closing') fault(`a close ends in the phase ${channel.phase.name}`);
      return channel.closingTransactions.map((tx) => bytesToHex(txid(tx)));
    });
    if ((alice === undefined) !== (bob === undefined)) fault('one side closes and the other does not');
    if (alice === undefined || bob === undefined) return;
    if (!alice.some((id) => bob.includes(id))) fault('the sides have no closing transaction in common');
  }
}

/** A whole run; `look` sees the world after each move. */
export function play(
  options: RunOptions,
  moves: readonly Move[],
  look: (world: World) => void = () => {},
): void {
  const world = new World(options);
  try {
    for (const move of moves) {
      world.do(move);
      look(world);
    }
    world.finish();
    look(world);
  } catch (error) {
    if (!(error instanceof UnseenDust)) throw error;
  }
}
