import * as ldk from 'lightningdevkit';
import type { LdkEventLog } from './ldkEventLog.js';
import { channelTypeOf, describeEvent } from './ldkEvents.js';
import type { LdkOutputs } from './ldkOutputs.js';
import type { LdkRun } from './ldkRun.js';
import { createUserChannelId, refusal } from './ldkRuntime.js';
import type { LdkFund, LdkReceivePolicy } from './ldkTypes.js';

interface EventContext {
  run: LdkRun;
  log: LdkEventLog;
  outputs: LdkOutputs;
  fund: LdkFund;
  policy: LdkReceivePolicy;
  acceptChannels: boolean;
  eventPaths: boolean;
}

async function fundChannel(
  event: ldk.Event_FundingGenerationReady,
  { run, log, fund }: EventContext,
): Promise<void> {
  const { manager } = run.parts;
  const { temporary_channel_id: id, counterparty_node_id: pubkey } = event;
  try {
    const tx = await fund({ script: event.output_script, valueSat: event.channel_value_satoshis });
    const result = run.enter(() => manager.funding_transaction_generated(id, pubkey, tx));
    if (!result.is_ok()) throw refusal('take the funding transaction', result);
  } catch (error) {
    log.emit({
      type: 'fundingFailed',
      channelId: id.get_a(),
      userChannelId: event.user_channel_id,
      reason: error instanceof Error ? error.message : String(error),
    });
  }
}

function answerChannelRequest(
  event: ldk.Event_OpenChannelRequest,
  { run, log, acceptChannels }: EventContext,
): void {
  const { manager } = run.parts;
  const { temporary_channel_id: id, counterparty_node_id: pubkey } = event;
  const userChannelId = createUserChannelId();
  const result = acceptChannels
    ? manager.accept_inbound_channel(id, pubkey, userChannelId)
    : manager.force_close_without_broadcasting_txn(id, pubkey, 'no channels wanted');
  log.emit({
    type: 'channelRequest',
    temporaryChannelId: id.get_a(),
    pubkey,
    fundingSat: event.funding_satoshis,
    channelType: channelTypeOf(event.channel_type),
    accepted: acceptChannels && Boolean(result.is_ok()),
  });
}

function receive(event: ldk.Event_PaymentClaimable, { run, policy }: EventContext): void {
  const { manager } = run.parts;
  const described = describeEvent(event);
  if (described.type !== 'paymentClaimable' || policy === 'hold') return;
  if (policy === 'claim' && described.preimage) {
    manager.claim_funds_with_known_custom_tlvs(described.preimage);
  } else {
    manager.fail_htlc_backwards(event.payment_hash);
  }
}

/** Does what LDK leaves to its user, and tells the log. */
export function actOnEvents(events: readonly ldk.Event[], context: EventContext): void {
  const { run, log, outputs } = context;
  let htlcsToForward = false;
  for (const event of events) {
    if (event instanceof ldk.Event_PendingHTLCsForwardable) {
      htlcsToForward = true;
      continue;
    }
    if (event instanceof ldk.Event_OpenChannelRequest) {
      answerChannelRequest(event, context);
      continue;
    }
    if (event instanceof ldk.Event_FundingGenerationReady) void fundChannel(event, context);
    else if (event instanceof ldk.Event_PaymentClaimable) receive(event, context);
    else if (event instanceof ldk.Event_SpendableOutputs) outputs.add(event.outputs);
    else if (event instanceof ldk.Event_BumpTransaction)
      run.parts.bumpHandler.handle_event(event.bump_transaction);
    log.emit(describeEvent(event, context));
  }
  // LDK asks for a random delay, for the sake of privacy, which its tests do not need.
  if (htlcsToForward) run.parts.manager.process_pending_htlc_forwards();
}
