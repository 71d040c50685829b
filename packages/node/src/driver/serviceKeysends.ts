import { hexToBytes } from '@rivulet/core/bytes';
import { type NodeService, ServiceError } from '@rivulet/sdk';
import { describeHeldKeysend } from './describe.js';
import type { RivuletNode } from './node.js';

/** The endpoints of the policy, where the node has one. */
export type KeysendPolicyService = Pick<NodeService, 'keysendPolicy' | 'setKeysendPolicy'>;

/** The endpoints of keysends that wait for a decision, and of what they are judged by. */
export function keysendService(
  node: RivuletNode,
  policy: KeysendPolicyService = noPolicy,
): KeysendPolicyService & Pick<NodeService, 'heldKeysends' | 'decideKeysend'> {
  const { receiver } = node.payments;
  return {
    ...policy,
    heldKeysends: async () => ({ keysends: receiver.waitingKeysends().map(describeHeldKeysend) }),
    decideKeysend: async ({ paymentHash, accept }) => {
      await receiver.decideKeysend(hexToBytes(paymentHash), { accept });
      return {};
    },
  };
}

const refuse = async (): Promise<never> => {
  throw new ServiceError('not_supported', 'this node judges no keysends before it takes them');
};
const noPolicy: KeysendPolicyService = { keysendPolicy: refuse, setKeysendPolicy: refuse };
