/**
 * What to do with the peer that sent it: `ignore` drops the message alone, as its sender need not be to blame
 * or the fault is none of the wire's; `warn_and_close` sends a `warning` and closes the connection.
 */
export type Punishment = 'ignore' | 'warn_and_close';

/** What can be wrong with a gossip message that decoded well. */
export type GossipFault =
  /** It is about a chain that is not ours. */
  | 'chain_unknown'
  /** `node_id_1` is not the lesser of two different ids. */
  | 'keys_order'
  /** A key is no point on the curve. */
  | 'key_invalid'
  | 'signature'
  /** An even feature bit that is not known: nothing may be routed there. */
  | 'features_unknown'
  | 'timestamp_zero'
  | 'timestamp_future'
  /** A `channel_update` that was pruned already if we had it. */
  | 'timestamp_stale';

/** Whether a gossip message can be taken. */
export type Verdict = { readonly valid: true } | InvalidVerdict;

export interface InvalidVerdict {
  readonly valid: false;
  readonly fault: GossipFault;
  readonly punish: Punishment;
}

/** Nothing is wrong. */
export const valid: Verdict = { valid: true };

export function invalid(fault: GossipFault, punish: Punishment): InvalidVerdict {
  return { valid: false, fault, punish };
}
