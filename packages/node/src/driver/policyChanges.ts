import type { Announcing } from './announcing.js';
import type { ChannelPolicies, ChannelPolicySettings } from './channelPolicies.js';
import type { ChannelKey, Turns } from './turns.js';

/**
 * Changes what is asked of forwards on channels, and has the network hear of it.
 * @throws ChannelPolicyError
 */
export function changePolicies(
  { turns, policies, announcing }: { turns: Turns; policies: ChannelPolicies; announcing: Announcing },
  { keys, change }: { keys: readonly ChannelKey[]; change: Partial<ChannelPolicySettings> },
): Promise<void> {
  return new Promise((resolve, reject) => {
    for (const key of keys) policies.changed(key, change);
    turns.enqueue({
      run: (turn) => {
        for (const key of keys) {
          policies.set(turn, { key, change });
          announcing.policyChanged(turn, key);
        }
        turn.afterCommit(resolve);
      },
      failed: reject,
    });
  });
}
