import { bytesToHex, equalBytes } from '../../bytes/index.js';
import { secp256k1, sha256, sha256d } from '../../crypto/index.js';
import type { InMemoryChannelSigner } from '../../keys/index.js';
import {
  type ChannelAnnouncement,
  encodeMessage,
  gossipSignedBytes,
  printableData,
} from '../../wire/index.js';
import type { Channel } from '../channel.js';
import { commitmentSpec } from '../commitmentSpec.js';
import type { Htlc } from '../htlc.js';
import { resume, step } from '../machine.js';
import { withoutUncommitted } from '../reestablish.js';
import type {
  ChannelEvent,
  ChannelMessage,
  Command,
  Effect,
  Step,
  StepContext,
  StoreAction,
} from '../step.js';
import {
  DurableStore,
  type Ledger,
  type OfferedRecord,
  type ReceivedRecord,
} from './durableStore.test.support.js';
import { checkChannel, checkOffer, describeChannel } from './invariants.test.support.js';
import {
  attributionOf,
  type ChannelSetup,
  contextOf,
  onionOf,
  pathKeyOf,
  startHeight,
} from './setup.test.support.js';

/** What the model says when an invariant is broken. */
export class ModelFault extends Error {}

/**
 * The one end of an honest run that is no fault: a feerate that would turn what we offer right now into dust,
 * which the opener cannot have seen. The channel is failed rather than exposed (threat 5).
 */
export class UnseenDust extends Error {}

function isUnseen({ state }: Htlc): boolean {
  return state === 'sent_add' || state === 'sent_add_commit';
}

/** The other end of what a party does. */
export interface Surroundings {
  /** The number of the connection, `undefined` while there is none. */
  readonly connection: number | undefined;
  send(message: ChannelMessage): void;
}

/** One side: a channel in memory, its store, and turns as the node's driver runs them. */
export class Party {
  readonly name: string;
  readonly signer: InMemoryChannelSigner;
  readonly store: DurableStore;
  channel: Channel;
  blockHeight = startHeight;
  /** Every refusal by its code, for what a run has covered. */
  readonly refusals: string[] = [];
  /** Every announcement of the channel that was told, in hex. */
  readonly announcements: string[] = [];
  readonly #setup: ChannelSetup;
  readonly #surroundings: Surroundings;
  #requests = 0;
  /** The txids of our commitments as they were when the peer's signature for them came. */
  #checked: Channel | undefined;
  readonly #localTxids = new Map<bigint, string>();
  readonly firstCommitments = new Map<string, bigint>();

  constructor({
    name,
    signer,
    channel,
    setup,
    surroundings,
  }: {
    name: string;
    signer: InMemoryChannelSigner;
    channel: Channel;
    setup: ChannelSetup;
    surroundings: Surroundings;
  }) {
    this.name = name;
    this.signer = signer;
    this.channel = channel;
    this.store = new DurableStore(channel);
    this.#setup = setup;
    this.#surroundings = surroundings;
  }

  get context(): StepContext {
    return contextOf(this.#setup, { signer: this.signer, blockHeight: this.blockHeight });
  }

  nextRequestId(): string {
    return `${this.name} ${this.#requests++}`;
  }

  get ledger(): Ledger {
    return this.store.ledger;
  }

  /** The largest HTLC that the machine would let us offer now. */
  mostMsat(): bigint {
    let [fits, breaks] = [0n, this.channel.params.fundingSat * 1000n];
    const refused = (amountMsat: bigint) => {
      const htlc = {
        amountMsat,
        paymentHash: new Uint8Array(32),
        cltvExpiry: this.blockHeight + 100,
        onion: onionOf(0),
      };
      const { events } = step(this.channel, { type: 'addHtlc', requestId: 'none', htlc }, this.context);
      return events.some(({ type }) => type === 'htlcRefused');
    };
    while (breaks - fits > 1n) {
      const middle = (fits + breaks) / 2n;
      if (refused(middle)) breaks = middle;
      else fits = middle;
    }
    return fits;
  }

  /** HTLCs of the peer that wait for a settlement of ours. */
  get waiting(): bigint[] {
    return [...this.ledger.received].flatMap(([id, { state }]) => (state === 'waiting' ? [id] : []));
  }

  /**
   * One turn: commands, with `sign` a signature at the end, one transaction, and only then what others
   * see. With `fails` the transaction is refused: nothing is stored, nothing let out. Whether it was stored.
   */
  turn(commands: readonly Command[], { sign, fails = false }: { sign: boolean; fails?: boolean }): boolean {
    const before = this.channel;
    const draft = new TurnDraft(this, { connection: this.#surroundings.connection });
    for (const command of commands) draft.take(step(draft.channel, command, this.context), command);
    if (sign) draft.take(step(draft.channel, { type: 'sign' }, this.context), { type: 'sign' });
    if (fails) {
      this.channel = step(before, { type: 'disconnected' }, this.context).channel;
      return false;
    }
    this.#finish(draft);
    return true;
  }

  /** What memory held is gone; what was stored comes back. */
  crash(): void {
    const before = withoutUncommitted(this.channel);
    const made = resume(this.store.load(), this.context);
    // A restart is to find what a reconnection would have found.
    const wanted = describeChannel(before);
    const found = describeChannel(made.channel);
    if (wanted !== found)
      throw new ModelFault(`${this.name} restarts differently: ${difference(wanted, found)}`);
    this.channel = made.channel;
    const draft = new TurnDraft(this, { connection: undefined, resuming: true });
    draft.take(made, { type: 'block' });
    this.#finish(draft);
  }

  #finish(draft: TurnDraft): void {
    this.channel = draft.channel;
    this.announcements.push(...draft.announcements);
    this.store.commit(draft.actions, { channel: draft.channel, ledger: draft.ledger });
    for (const effect of draft.effects) this.#release(effect);
    checkChannel(this.channel, { before: this.#checked, signer: this.signer, localTxids: this.#localTxids });
    this.#noteFirstCommitments();
    this.#checked = this.channel;
  }

  /** Which of the peer's commitments had an HTLC first: what its archived row has to say. */
  #noteFirstCommitments(): void {
    const { number, awaitingRevocation } = this.channel.remoteCommit;
    const { htlcs } = commitmentSpec(this.channel, { side: 'remote', stage: 'committed' });
    for (const { direction, id } of htlcs) {
      const key = `${direction} ${id}`;
      if (!this.firstCommitments.has(key)) {
        this.firstCommitments.set(key, awaitingRevocation ? number + 1n : number);
      }
    }
  }

  #release(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        if (isHarmlessWarning(effect.message)) return;
        if (effect.message.type === 'error' || effect.message.type === 'warning') {
          throw new ModelFault(`${this.name} sends ${effect.message.type}`);
        }
        if (this.#surroundings.connection === undefined) {
          throw new ModelFault(`${this.name} sends ${effect.message.type} without a connection`);
        }
        this.#surroundings.send(effect.message);
        return;
      case 'publish':
        if (effect.purpose === 'commitment') throw new ModelFault(`${this.name} publishes its commitment`);
        return;
      case 'disconnect':
        throw new ModelFault(`${this.name} disconnects: ${effect.reason}`);
      case 'report':
        throw new ModelFault(`${this.name} reports: ${effect.error.message}`);
    }
  }
}

/** One side saw a reorganisation first. */
function isHarmlessWarning(message: ChannelMessage): boolean {
  return message.type === 'warning' && /another short_channel_id/.test(printableData(message.data));
}

/** What a node that hears of the channel would check. */
function isValid(announcement: ChannelAnnouncement): boolean {
  const hash = sha256d(gossipSignedBytes(encodeMessage(announcement)));
  return (
    secp256k1.verify(announcement.nodeSignature1, hash, announcement.nodeId1) &&
    secp256k1.verify(announcement.nodeSignature2, hash, announcement.nodeId2) &&
    secp256k1.verify(announcement.bitcoinSignature1, hash, announcement.bitcoinKey1) &&
    secp256k1.verify(announcement.bitcoinSignature2, hash, announcement.bitcoinKey2)
  );
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}

function difference(wanted: string, found: string): string {
  const [a, b] = [wanted.split('\n'), found.split('\n')];
  const lost = a.filter((line) => !b.includes(line)).map((line) => `-${line}`);
  const gained = b.filter((line) => !a.includes(line)).map((line) => `+${line}`);
  return [...lost, ...gained].join('\n');
}

/** A turn in the making. */
class TurnDraft {
  channel: Channel;
  readonly actions: StoreAction[] = [];
  readonly effects: Effect[] = [];
  readonly announcements: string[] = [];
  readonly #offered: Map<bigint, OfferedRecord>;
  readonly #received: Map<bigint, ReceivedRecord>;
  readonly #party: Party;
  readonly #connection: number | undefined;
  readonly #resuming: boolean;

  constructor(
    party: Party,
    { connection, resuming = false }: { connection: number | undefined; resuming?: boolean },
  ) {
    this.#party = party;
    this.channel = party.channel;
    this.#offered = new Map(party.ledger.offered);
    this.#received = new Map(party.ledger.received);
    this.#connection = connection;
    this.#resuming = resuming;
  }

  get ledger(): Ledger {
    return { offered: this.#offered, received: this.#received };
  }

  take(made: Step, command: Command): void {
    this.channel = made.channel;
    this.actions.push(...made.store);
    this.effects.push(...made.effects);
    let refused = false;
    for (const event of made.events) {
      refused ||= event.type === 'commandRefused' || event.type === 'htlcRefused';
      this.#hear(event);
    }
    if (command.type === 'settleHtlc' && !refused) {
      const record = this.#received.get(command.id);
      if (record?.state !== 'waiting') this.#fault(`HTLC ${command.id} could be settled twice`);
      this.#received.set(command.id, { ...record, state: 'settled', settlement: command.settlement });
    }
  }

  #fault(text: string): never {
    throw new ModelFault(`${this.#party.name}: ${text}`);
  }

  #hear(event: ChannelEvent): void {
    switch (event.type) {
      case 'htlcAdded': {
        const { id, paymentHash, amountMsat, cltvExpiry } = event.htlc;
        if (this.#offered.has(id)) this.#fault(`HTLC ${id} was added twice`);
        const hash = bytesToHex(paymentHash);
        this.#offered.set(id, { paymentHash: hash, amountMsat, cltvExpiry, outcome: 'pending' });
        checkOffer(this.channel, { maxDustExposureMsat: this.#party.context.policy.maxDustExposureMsat });
        return;
      }
      case 'htlcRefused':
      case 'commandRefused':
        this.#party.refusals.push(event.reason.code);
        return;
      case 'htlcReceived': {
        const { id, paymentHash, mustFail, onion, pathKey } = event.htlc;
        if (!isSame(pathKey, pathKeyOf(onion))) this.#fault(`HTLC ${id} has lost its path key`);
        const known = this.#received.get(id);
        if (known !== undefined && !(this.#resuming && known.state === 'waiting')) {
          this.#fault(`HTLC ${id} is told as received again, though it is ${known.state}`);
        }
        this.#received.set(id, {
          paymentHash: bytesToHex(paymentHash),
          mustFail: mustFail !== undefined,
          state: 'waiting',
        });
        return;
      }
      case 'htlcFulfilled': {
        const { id } = event.htlc;
        const record = this.#offered.get(id);
        if (record === undefined || record.outcome === 'failed') {
          this.#fault(`HTLC ${id} is fulfilled, though it is ${record?.outcome}`);
        }
        if (!isSame(event.attributionData, attributionOf(event.htlc.paymentHash))) {
          this.#fault(`HTLC ${id} has lost its attribution data`);
        }
        if (bytesToHex(sha256(event.preimage)) !== record.paymentHash) this.#fault('a wrong preimage');
        if (record.heardOnConnection === this.#connection) {
          this.#fault(`HTLC ${id} is fulfilled twice on a connection`);
        }
        this.#offered.set(id, {
          ...record,
          outcome: 'fulfilled',
          ...(this.#connection === undefined ? {} : { heardOnConnection: this.#connection }),
        });
        return;
      }
      case 'htlcFailed': {
        const { id, paymentHash } = event.htlc;
        const record = this.#offered.get(id);
        const { settlement } = event;
        if (settlement.type === 'fail' && !isSame(settlement.attributionData, attributionOf(paymentHash))) {
          this.#fault(`HTLC ${id} has failed without its attribution data`);
        }
        if (record?.outcome !== 'pending') this.#fault(`HTLC ${id} fails, though it is ${record?.outcome}`);
        this.#offered.set(id, { ...record, outcome: 'failed' });
        return;
      }
      case 'htlcOver': {
        const { id, settlement } = event.htlc;
        const record = this.#received.get(id);
        if (record?.state !== 'settled' || settlement === undefined) {
          this.#fault(`HTLC ${id} is over, though it is ${record?.state}`);
        }
        if (record.settlement?.type !== settlement.type) this.#fault(`HTLC ${id} ended differently`);
        this.#received.set(id, { ...record, state: 'over' });
        return;
      }
      case 'phaseChanged':
        if (this.channel.phase.name === 'failed' || this.channel.phase.name === 'stale') {
          const error = this.channel.phase.name === 'failed' ? this.channel.phase.error.message : 'data lost';
          if (/exposes too much/.test(error) && [...this.channel.htlcs].some(isUnseen))
            throw new UnseenDust(error);
          this.#fault(`the channel is ${this.channel.phase.name}: ${error}`);
        }
        return;
      case 'online':
        return;
      case 'announced': {
        const { announcement } = event;
        const text = bytesToHex(encodeMessage(announcement));
        const last = this.announcements.at(-1) ?? this.#party.announcements.at(-1);
        if (text === last && !this.#resuming) this.#fault('an announcement is told twice');
        if (text !== last && !isValid(announcement)) this.#fault('an announcement is not valid');
        this.announcements.push(text);
        return;
      }
    }
  }
}
