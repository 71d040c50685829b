import { describe, expect, test } from 'vitest';
import {
  type CommitmentEvent,
  type HtlcState,
  htlcStateFacts,
  htlcStates,
  isOver,
  stateAfter,
} from './htlcState.js';

const events: readonly CommitmentEvent[] = [
  'sent_commit',
  'rcvd_revocation',
  'rcvd_commit',
  'sent_revocation',
];

function mirrored<Name extends string>(name: Name): Name {
  const swapped = name.startsWith('sent_') ? `rcvd_${name.slice(5)}` : `sent_${name.slice(5)}`;
  return swapped as Name;
}

describe('the states of an HTLC', () => {
  test('are 20, each once, in an order that stored channels depend on', () => {
    expect(Object.keys(htlcStateFacts).sort()).toEqual([...htlcStates].sort());
    expect(htlcStates.join(' ')).toBe(
      'sent_add sent_add_commit rcvd_add_revocation rcvd_add_ack_commit sent_add_ack_revocation ' +
        'rcvd_remove rcvd_remove_commit sent_remove_revocation sent_remove_ack_commit rcvd_remove_ack_revocation ' +
        'rcvd_add rcvd_add_commit sent_add_revocation sent_add_ack_commit rcvd_add_ack_revocation ' +
        'sent_remove sent_remove_commit rcvd_remove_revocation rcvd_remove_ack_commit sent_remove_ack_revocation',
    );
  });

  test.each(htlcStates)('%s mirrors itself: what we send the peer receives', (state) => {
    const facts = htlcStateFacts[state];
    const mirror = htlcStateFacts[mirrored(state)];
    expect(mirror.inLocal).toBe(facts.inRemote);
    expect(mirror.inRemote).toBe(facts.inLocal);
    expect(mirror.removing).toBe(facts.removing);
    expect(mirror.on).toBe(facts.on === undefined ? undefined : mirrored(facts.on));
    expect(mirror.next).toBe(facts.next === undefined ? undefined : mirrored(facts.next));
  });

  test.each(['sent_add', 'rcvd_add'] as const)('from %s four messages make an HTLC irrevocable', (start) => {
    const [own, other] = start === 'sent_add' ? ['sent', 'rcvd'] : ['rcvd', 'sent'];
    const order = [`${own}_commit`, `${other}_revocation`, `${other}_commit`, `${own}_revocation`];
    const walked = order.reduce<HtlcState>(
      (state, event) => stateAfter(state, event as CommitmentEvent),
      start,
    );
    expect(htlcStateFacts[walked]).toEqual({ inLocal: true, inRemote: true, removing: false });
    expect(isOver(walked)).toBe(false);
  });

  test.each(['sent_remove', 'rcvd_remove'] as const)('from %s four messages end it', (start) => {
    const [own, other] = start === 'sent_remove' ? ['sent', 'rcvd'] : ['rcvd', 'sent'];
    const order = [`${own}_commit`, `${other}_revocation`, `${other}_commit`, `${own}_revocation`];
    const walked = order.reduce<HtlcState>(
      (state, event) => stateAfter(state, event as CommitmentEvent),
      start,
    );
    expect(htlcStateFacts[walked]).toEqual({ inLocal: false, inRemote: false, removing: true });
    expect(isOver(walked)).toBe(true);
  });

  test.each(htlcStates)('%s is left by one message alone, which is the next one of its trace', (state) => {
    const { on, next } = htlcStateFacts[state];
    expect((on === undefined) === (next === undefined)).toBe(true);
    for (const event of events) expect(stateAfter(state, event)).toBe(event === on ? next : state);
    if (next !== undefined) expect(htlcStates.indexOf(next)).toBe(htlcStates.indexOf(state) + 1);
  });

  test.each(htlcStates)('%s: a commitment changes by its own signature alone', (state) => {
    const facts = htlcStateFacts[state];
    if (facts.next === undefined) return;
    const next = htlcStateFacts[facts.next];
    expect(next.inRemote !== facts.inRemote).toBe(facts.on === 'sent_commit');
    expect(next.inLocal !== facts.inLocal).toBe(facts.on === 'rcvd_commit');
  });
});
