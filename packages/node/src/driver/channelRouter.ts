import { bytesToHex } from '@rivulet/core/bytes';
import type { ChannelMessage } from '@rivulet/core/channel';
import { hasFeature, type Message } from '@rivulet/core/wire';
import { type AnyGossipMessage, isGossip } from '../gossip/index.js';
import type { PeerInfo } from '../peers/index.js';
import {
  isChannelMessage,
  isForAllChannels,
  isOpeningMessage,
  type OpeningMessage,
} from './channelMessages.js';
import { type ChannelKey, channelKey, type Turn, type Turns } from './turns.js';

/** What takes the messages that begin a channel; all of it in turns. */
export interface OpeningReceiver {
  receive(turn: Turn, from: { peer: PeerInfo; message: OpeningMessage }): void;
  /** An error for a channel that is not known: perhaps one that is being opened; or for all. */
  receiveError(turn: Turn, from: { nodeId: string; channelId: Uint8Array; data: Uint8Array }): void;
  disconnected(turn: Turn, nodeId: string): void;
}

/** Brings what happens to peers to their channels. */
export class ChannelRouter {
  readonly #turns: Turns;
  readonly #openings: OpeningReceiver;
  readonly #onGossip: (nodeId: string, message: AnyGossipMessage) => void;
  readonly #onOther: (peer: PeerInfo, message: Message) => void;

  constructor(options: {
    turns: Turns;
    openings: OpeningReceiver;
    onGossip: (nodeId: string, message: AnyGossipMessage) => void;
    /** What concerns no channel. */
    onOther: (peer: PeerInfo, message: Message) => void;
  }) {
    this.#turns = options.turns;
    this.#openings = options.openings;
    this.#onGossip = options.onGossip;
    this.#onOther = options.onOther;
  }

  connected({ nodeId, features }: PeerInfo): void {
    const simpleClose = hasFeature(features, 'simpleClose');
    const anySegwit = hasFeature(features, 'shutdownAnysegwit');
    // Its channels are looked up when this runs: one may come into being earlier in the same turn (threat 12).
    this.#turns.enqueue({
      peer: nodeId,
      run: (turn) => {
        for (const key of channelsOf(turn, nodeId)) {
          turn.command(key, { type: 'connected', simpleClose, anySegwit });
        }
      },
    });
  }

  disconnected(nodeId: string): void {
    this.#turns.enqueue({
      peer: nodeId,
      run: (turn) => {
        turn.forgetMessagesTo(nodeId);
        this.#openings.disconnected(turn, nodeId);
        for (const key of channelsOf(turn, nodeId)) turn.command(key, { type: 'disconnected' });
      },
    });
  }

  messages(peer: PeerInfo, messages: readonly Message[]): void {
    for (const message of messages) {
      if (isOpeningMessage(message)) {
        this.#turns.enqueue({
          peer: peer.nodeId,
          run: (turn) => this.#openings.receive(turn, { peer, message }),
        });
      } else if (isChannelMessage(message)) {
        this.#toChannel(peer.nodeId, message);
      } else if (isGossip(message)) this.#onGossip(peer.nodeId, message);
      else this.#onOther(peer, message);
    }
  }

  #toChannel(nodeId: string, message: ChannelMessage): void {
    const { channelId } = message;
    if (message.type === 'error' && isForAllChannels(channelId)) {
      this.#turns.enqueue({
        peer: nodeId,
        run: (turn) => {
          for (const key of channelsOf(turn, nodeId)) turn.command(key, { type: 'message', message });
          this.#openings.receiveError(turn, { nodeId, channelId, data: message.data });
        },
      });
      return;
    }
    const key = channelKey(channelId);
    this.#turns.enqueue({
      channel: key,
      peer: nodeId,
      run: (turn) => {
        const channel = turn.channels.get(key);
        if (channel !== undefined && bytesToHex(channel.params.remoteNodeId) === nodeId) {
          turn.command(key, { type: 'message', message });
        } else this.#unknownChannel(turn, { nodeId, message });
      },
    });
  }

  #unknownChannel(turn: Turn, { nodeId, message }: { nodeId: string; message: ChannelMessage }): void {
    const { channelId } = message;
    if (message.type === 'error') {
      this.#openings.receiveError(turn, { nodeId, channelId, data: message.data });
      return;
    }
    if (message.type === 'warning') return;
    // BOLT 1: an error for an unknown channel; the peer can then close it on its side
    const data = Uint8Array.from('unknown channel', (character) => character.charCodeAt(0));
    turn.send(nodeId, { type: 'error', channelId, data });
  }
}

function channelsOf(turn: Turn, nodeId: string): ChannelKey[] {
  return [...turn.channels]
    .filter(([, { params }]) => bytesToHex(params.remoteNodeId) === nodeId)
    .map(([key]) => key);
}
