import { equalBytes } from '../../bytes/index.js';
import { isShutdownScript } from '../../tx/index.js';
import type { Shutdown } from '../../wire/index.js';
import type { Channel } from '../channel.js';
import { ChannelError, ChannelRefusal } from '../channelError.js';
import type { StepDraft } from '../step.js';
import { isCooperative } from './closingState.js';

/** Whether we may send this script on this connection (BOLT 2: shutdown, sending node). */
function isAllowedScript({ params, simpleClose, anySegwit }: Channel, script: Uint8Array): boolean {
  const { upfrontShutdownScript } = params.local;
  // What was committed to at the opening was checked then, and must be kept to.
  if (upfrontShutdownScript !== undefined) return equalBytes(script, upfrontShutdownScript);
  // BOLT 9: option_simple_close needs option_shutdown_anysegwit
  return isShutdownScript(script, { anySegwit: anySegwit === true || simpleClose, simpleClose });
}

/**
 * Our side wants the channel closed together. What is pending is settled first; without a connection the
 * shutdown goes out with the next one.
 * @throws ChannelRefusal
 */
export function requestClose(draft: StepDraft, script: Uint8Array): void {
  const { channel } = draft;
  const { phase, params, shutdown } = channel;
  if (phase.name === 'stale') {
    throw new ChannelRefusal('data_lost', 'data of this channel was lost: the peer has to close it on chain');
  }
  if (phase.name === 'closing' || !isCooperative(channel)) {
    throw new ChannelRefusal('channel_closing', `the channel is closed already (${phase.name})`);
  }
  // BOLT 2: shutdown, sending node: must not send multiple shutdown messages
  if (shutdown.localScript !== undefined) {
    throw new ChannelRefusal('channel_closing', 'the channel is being closed already');
  }
  if (!isAllowedScript(channel, script)) {
    throw new ChannelRefusal(
      'script_invalid',
      params.local.upfrontShutdownScript === undefined
        ? 'the peer does not pay to this kind of address at a close; P2WPKH and P2WSH always work'
        : 'this channel was opened with another address for its close, which binds us',
    );
  }
  draft.save({ shutdown: { ...shutdown, localScript: script } });
  sendShutdownIfPossible(draft);
}

/** Sends our shutdown where one is due on this connection and the peer's commitment lacks none of the updates. */
export function sendShutdownIfPossible(draft: StepDraft): void {
  const { channel } = draft;
  const { link, shutdown, params } = channel;
  const { localScript } = shutdown;
  if (localScript === undefined || shutdown.localSent || link !== 'online') return;
  if (!isCooperative(channel) || !isAllowedScript(channel, localScript)) return;
  // BOLT 2: shutdown, sending node: not if updates are pending on the receiving node's commitment transaction
  if (channel.unsignedChanges) return;
  draft.patch({ shutdown: { ...shutdown, localSent: true } });
  draft.send({ type: 'shutdown', channelId: params.channelId, scriptpubkey: localScript });
}

/** The peer wants the channel closed together, or says so again after a reconnection. */
export function receiveShutdown(draft: StepDraft, message: Shutdown): void {
  const { params, shutdown, simpleClose, negotiation } = draft.channel;
  const { scriptpubkey } = message;
  // BOLT 2: shutdown, receiving node: none of the forms. Any segwit version is one that we can pay to.
  if (!isShutdownScript(scriptpubkey, { anySegwit: true, simpleClose })) {
    throw shutdownInvalid('the script of shutdown has none of the allowed forms');
  }
  // BOLT 2: shutdown, receiving node: not the script of option_upfront_shutdown_script
  const upfront = params.remote.upfrontShutdownScript;
  if (upfront !== undefined && !equalBytes(upfront, scriptpubkey)) {
    throw shutdownInvalid('shutdown has another script than the one committed to at the opening');
  }
  const known = shutdown.remoteScript !== undefined && equalBytes(shutdown.remoteScript, scriptpubkey);
  if (negotiation.remoteShutdown === true) {
    if (known) return;
    throw shutdownInvalid('a second shutdown came with another script');
  }
  draft.patch({ negotiation: { ...negotiation, remoteShutdown: true } });
  if (!known) draft.save({ shutdown: { ...shutdown, remoteScript: scriptpubkey } });
  // BOLT 2: shutdown, receiving node: must reply once there are no outstanding updates on the peer
  const ours = params.local.upfrontShutdownScript ?? draft.context.closingScript;
  if (shutdown.localScript === undefined && ours !== undefined) {
    draft.save({ shutdown: { ...draft.channel.shutdown, localScript: ours } });
  }
  sendShutdownIfPossible(draft);
}

function shutdownInvalid(message: string): ChannelError {
  return new ChannelError('shutdown_invalid', message, 'warn_and_disconnect');
}

/**
 * Both found each other again: shutdown goes out anew and the fee is negotiated from the start (BOLT 2:
 * channel_reestablish; closing_signed, rationale).
 */
export function onReconnectedClosing(draft: StepDraft): void {
  draft.patch({ negotiation: {}, shutdown: { ...draft.channel.shutdown, localSent: false } });
  sendShutdownIfPossible(draft);
}
