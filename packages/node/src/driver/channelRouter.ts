import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import type { ChannelMessage } from '@rivulet/core/channel';
import { hasFeature, type Message } from '@rivulet/core/wire';
import type { PeerInfo } from '../peers/index.js';
import {
  isChannelMessage,
  isForAllChannels,
  isOpeningMessage,
  type OpeningMessage,
} from './channelMessages.js';
import { type ChannelKey, channelKey, type Turn, type Turns } from './turns.js';

/** What takes the messages that begin a channel. */
export interface OpeningReceiver {
  receive(turn: Turn, from: { peer: PeerInfo; message: OpeningMessage }): void;
  /** An error for a channel that is not known: perhaps one that is being opened. */
  receiveError(from: { nodeId: string; channelId: Uint8Array; data: Uint8Array }): void;
  disconnected(nodeId: string): void;
}

/** Brings what happens to peers to their channels. */
export class ChannelRouter {
  readonly #turns: Turns;
  readonly #openings: OpeningReceiver;
  readonly #send: (nodeId: string, messages: readonly Message[]) => void;

  constructor({
    turns,
    openings,
    send,
  }: {
    turns: Turns;
    openings: OpeningReceiver;
    send: (nodeId: string, messages: readonly Message[]) => void;
  }) {
    this.#turns = turns;
    this.#openings = openings;
    this.#send = send;
  }

  connected(peer: PeerInfo): void {
    const simpleClose = hasFeature(peer.features, 'simpleClose');
    const anySegwit = hasFeature(peer.features, 'shutdownAnysegwit');
    for (const key of this.#channelsOf(peer.nodeId)) {
      this.#turns.enqueue({
        channel: key,
        run: (turn) => turn.command(key, { type: 'connected', simpleClose, anySegwit }),
      });
    }
  }

  disconnected(nodeId: string): void {
    this.#openings.disconnected(nodeId);
    for (const key of this.#channelsOf(nodeId)) {
      this.#turns.enqueue({ channel: key, run: (turn) => turn.command(key, { type: 'disconnected' }) });
    }
  }

  messages(peer: PeerInfo, messages: readonly Message[]): void {
    for (const message of messages) {
      if (isOpeningMessage(message)) {
        this.#turns.enqueue({ run: (turn) => this.#openings.receive(turn, { peer, message }) });
      } else if (isChannelMessage(message)) {
        this.#toChannel(peer.nodeId, message);
      }
      // All other messages are gossip or optional: they concern no channel.
    }
  }

  #toChannel(nodeId: string, message: ChannelMessage): void {
    const aboutAll = message.type === 'error' || message.type === 'warning';
    if (aboutAll && isForAllChannels(message.channelId)) {
      for (const key of this.#channelsOf(nodeId)) this.#command(key, message);
      return;
    }
    const key = channelKey(message.channelId);
    // The channel may come into being earlier in the same turn: looked up when it runs.
    this.#turns.enqueue({
      channel: key,
      run: (turn) => {
        const channel = turn.channels.get(key);
        if (channel !== undefined && bytesToHex(channel.params.remoteNodeId) === nodeId) {
          turn.command(key, { type: 'message', message });
          return;
        }
        turn.afterCommit(() => this.#unknownChannel(nodeId, message));
      },
    });
  }

  #command(key: ChannelKey, message: ChannelMessage): void {
    this.#turns.enqueue({ channel: key, run: (turn) => turn.command(key, { type: 'message', message }) });
  }

  #unknownChannel(nodeId: string, message: ChannelMessage): void {
    const { channelId } = message;
    if (message.type === 'error') {
      this.#openings.receiveError({ nodeId, channelId, data: message.data });
      return;
    }
    if (message.type === 'warning') return;
    // BOLT 1: an error for an unknown channel; the peer can then close it on its side
    const data = Uint8Array.from('unknown channel', (character) => character.charCodeAt(0));
    this.#send(nodeId, [{ type: 'error', channelId, data }]);
  }

  #channelsOf(nodeId: string): ChannelKey[] {
    const remote = hexToBytes(nodeId);
    const keys: ChannelKey[] = [];
    for (const [key, { params }] of this.#turns.channels) {
      if (params.remoteNodeId.every((byte, i) => byte === remote[i])) keys.push(key);
    }
    return keys;
  }
}
