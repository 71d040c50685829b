import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel, Effect } from '@rivulet/core/channel';
import type { Transaction } from '@rivulet/core/tx';
import type { Message } from '@rivulet/core/wire';
import { channelLogger, type Logger } from '../logging/logger.js';
import type { DeferredEffect } from './turns.js';

/** The outside world, as far as channels reach it. */
export interface World {
  send(nodeId: string, messages: readonly Message[]): void;
  disconnect(nodeId: string, reason: string): void;
  publish(tx: Transaction, purpose: string): void;
}

/**
 * Lets out what a turn did, once it is durable: all messages to one peer in one write, then connections
 * that are to end, then transactions, then answers to callers.
 */
export function releaseEffects(
  effects: readonly DeferredEffect[],
  { world, logger }: { world: World; logger: Logger },
): void {
  const outgoing = new Map<string, Message[]>();
  const ending = new Map<string, string>();
  const rest: (() => void)[] = [];
  for (const deferred of effects) {
    if (typeof deferred === 'function') rest.push(deferred);
    else if ('to' in deferred) add(outgoing, { nodeId: deferred.to, message: deferred.message });
    else sort(deferred, { outgoing, ending, rest, world, logger });
  }
  // What the turn did is durable: one effect that fails must not keep the others back.
  const guarded = (run: () => void): boolean => {
    try {
      run();
      return true;
    } catch (error) {
      logger.error({ err: error }, 'an internal fault while letting out what was stored; report it');
      return false;
    }
  };
  for (const [nodeId, messages] of outgoing) {
    // The peer lacks what could not be sent: after a reconnection it is sent again.
    if (!guarded(() => world.send(nodeId, messages))) ending.set(nodeId, 'internal error');
  }
  for (const [nodeId, reason] of ending) guarded(() => world.disconnect(nodeId, reason));
  for (const run of rest) guarded(run);
}

function add(
  outgoing: Map<string, Message[]>,
  { nodeId, message }: { nodeId: string; message: Message },
): void {
  const messages = outgoing.get(nodeId);
  if (messages === undefined) outgoing.set(nodeId, [message]);
  else messages.push(message);
}

function sort(
  { channel, effect }: { readonly channel: Channel; readonly effect: Effect },
  into: {
    outgoing: Map<string, Message[]>;
    ending: Map<string, string>;
    rest: (() => void)[];
    world: World;
    logger: Logger;
  },
): void {
  const nodeId = bytesToHex(channel.params.remoteNodeId);
  switch (effect.type) {
    case 'send':
      add(into.outgoing, { nodeId, message: effect.message });
      return;
    case 'disconnect':
      into.ending.set(nodeId, effect.reason);
      return;
    case 'publish':
      into.rest.push(() => into.world.publish(effect.tx, effect.purpose));
      return;
    case 'report': {
      const log = channelLogger(into.logger, channel.params.channelId);
      const { error, level } = effect;
      into.rest.push(() => log[level]({ code: error.code }, error.message));
      return;
    }
    default:
      effect satisfies never;
  }
}
