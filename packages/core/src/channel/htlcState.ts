/**
 * The life of one HTLC (and of one fee update, which has the first half of it alone) as a table.
 *
 * An update is first pending on its receiver, then in the receiver's commitment, then acknowledged and
 * pending on its sender, then in the sender's commitment, and at last irrevocable when the sender's old
 * commitment is revoked too; an HTLC goes that way once when it is added and once more, in the opposite
 * direction, when it is removed (BOLT 2: Normal Operation). The trace of an HTLC that we offer:
 *
 * | message                          | state after it             | in our commitment | in theirs |
 * |----------------------------------|----------------------------|-------------------|-----------|
 * | -> update_add_htlc               | sent_add                   | no                | no        |
 * | -> commitment_signed             | sent_add_commit            | no                | yes       |
 * | <- revoke_and_ack                | rcvd_add_revocation        | no                | yes       |
 * | <- commitment_signed             | rcvd_add_ack_commit        | yes               | yes       |
 * | -> revoke_and_ack                | sent_add_ack_revocation    | yes               | yes       |
 * | <- update_fulfill_htlc (or fail) | rcvd_remove                | yes               | yes       |
 * | <- commitment_signed             | rcvd_remove_commit         | no                | yes       |
 * | -> revoke_and_ack                | sent_remove_revocation     | no                | yes       |
 * | -> commitment_signed             | sent_remove_ack_commit     | no                | no        |
 * | <- revoke_and_ack                | rcvd_remove_ack_revocation | no                | no        |
 *
 * An HTLC that they offer goes through the mirror image: `rcvd_add`, `rcvd_add_commit`,
 * `sent_add_revocation`, `sent_add_ack_commit`, `rcvd_add_ack_revocation` (from here we may settle it),
 * `sent_remove`, `sent_remove_commit`, `rcvd_remove_revocation`, `rcvd_remove_ack_commit`,
 * `sent_remove_ack_revocation`. The last state of each half is final: nothing of the update is pending.
 */

/** The four messages that move updates from state to state. */
export type CommitmentEvent = 'sent_commit' | 'rcvd_revocation' | 'rcvd_commit' | 'sent_revocation';

export type HtlcState =
  | 'sent_add'
  | 'sent_add_commit'
  | 'rcvd_add_revocation'
  | 'rcvd_add_ack_commit'
  | 'sent_add_ack_revocation'
  | 'rcvd_remove'
  | 'rcvd_remove_commit'
  | 'sent_remove_revocation'
  | 'sent_remove_ack_commit'
  | 'rcvd_remove_ack_revocation'
  | 'rcvd_add'
  | 'rcvd_add_commit'
  | 'sent_add_revocation'
  | 'sent_add_ack_commit'
  | 'rcvd_add_ack_revocation'
  | 'sent_remove'
  | 'sent_remove_commit'
  | 'rcvd_remove_revocation'
  | 'rcvd_remove_ack_commit'
  | 'sent_remove_ack_revocation';

/** What a state means: where the update stands in each side's latest signed commitment. */
export interface HtlcStateFacts {
  /** The HTLC is an output (or trimmed) of the latest commitment that we could broadcast. */
  readonly inLocal: boolean;
  /** The HTLC is an output (or trimmed) of the latest commitment that we signed for them. */
  readonly inRemote: boolean;
  /** The removal was proposed: what is not in a commitment any more counts as removed from it. */
  readonly removing: boolean;
  /** The one message that moves it on, and where to; absent in the states that wait for a settlement. */
  readonly on?: CommitmentEvent;
  readonly next?: HtlcState;
}

/** Every state in the order of its trace; the index is the number that is stored. */
export const htlcStates: readonly HtlcState[] = [
  'sent_add',
  'sent_add_commit',
  'rcvd_add_revocation',
  'rcvd_add_ack_commit',
  'sent_add_ack_revocation',
  'rcvd_remove',
  'rcvd_remove_commit',
  'sent_remove_revocation',
  'sent_remove_ack_commit',
  'rcvd_remove_ack_revocation',
  'rcvd_add',
  'rcvd_add_commit',
  'sent_add_revocation',
  'sent_add_ack_commit',
  'rcvd_add_ack_revocation',
  'sent_remove',
  'sent_remove_commit',
  'rcvd_remove_revocation',
  'rcvd_remove_ack_commit',
  'sent_remove_ack_revocation',
];

function facts(
  membership: { local: boolean; remote: boolean; removing: boolean },
  on?: CommitmentEvent,
  next?: HtlcState,
): HtlcStateFacts {
  const { local, remote, removing } = membership;
  return {
    inLocal: local,
    inRemote: remote,
    removing,
    ...(on === undefined ? {} : { on }),
    ...(next === undefined ? {} : { next }),
  };
}

const none = { local: false, remote: false, removing: false };
const remoteOnly = { local: false, remote: true, removing: false };
const localOnly = { local: true, remote: false, removing: false };
const both = { local: true, remote: true, removing: false };
const removingBoth = { ...both, removing: true };
const removingRemoteOnly = { ...remoteOnly, removing: true };
const removingLocalOnly = { ...localOnly, removing: true };
const removed = { ...none, removing: true };

export const htlcStateFacts: Readonly<Record<HtlcState, HtlcStateFacts>> = {
  sent_add: facts(none, 'sent_commit', 'sent_add_commit'),
  sent_add_commit: facts(remoteOnly, 'rcvd_revocation', 'rcvd_add_revocation'),
  rcvd_add_revocation: facts(remoteOnly, 'rcvd_commit', 'rcvd_add_ack_commit'),
  rcvd_add_ack_commit: facts(both, 'sent_revocation', 'sent_add_ack_revocation'),
  sent_add_ack_revocation: facts(both),
  rcvd_remove: facts(removingBoth, 'rcvd_commit', 'rcvd_remove_commit'),
  rcvd_remove_commit: facts(removingRemoteOnly, 'sent_revocation', 'sent_remove_revocation'),
  sent_remove_revocation: facts(removingRemoteOnly, 'sent_commit', 'sent_remove_ack_commit'),
  sent_remove_ack_commit: facts(removed, 'rcvd_revocation', 'rcvd_remove_ack_revocation'),
  rcvd_remove_ack_revocation: facts(removed),

  rcvd_add: facts(none, 'rcvd_commit', 'rcvd_add_commit'),
  rcvd_add_commit: facts(localOnly, 'sent_revocation', 'sent_add_revocation'),
  sent_add_revocation: facts(localOnly, 'sent_commit', 'sent_add_ack_commit'),
  sent_add_ack_commit: facts(both, 'rcvd_revocation', 'rcvd_add_ack_revocation'),
  rcvd_add_ack_revocation: facts(both),
  sent_remove: facts(removingBoth, 'sent_commit', 'sent_remove_commit'),
  sent_remove_commit: facts(removingLocalOnly, 'rcvd_revocation', 'rcvd_remove_revocation'),
  rcvd_remove_revocation: facts(removingLocalOnly, 'rcvd_commit', 'rcvd_remove_ack_commit'),
  rcvd_remove_ack_commit: facts(removed, 'sent_revocation', 'sent_remove_ack_revocation'),
  sent_remove_ack_revocation: facts(removed),
};

/** The state after an event; the same state where the event does not concern it. */
export function stateAfter(state: HtlcState, event: CommitmentEvent): HtlcState {
  const { on, next } = htlcStateFacts[state];
  return on === event ? (next as HtlcState) : state;
}

/** Both commitments are without it and the older ones are revoked: the HTLC is over. */
export function isOver(state: HtlcState): boolean {
  return state === 'rcvd_remove_ack_revocation' || state === 'sent_remove_ack_revocation';
}
