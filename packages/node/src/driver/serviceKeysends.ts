import { hexToBytes } from '@rivulet/core/bytes';
import type { NodeService } from '@rivulet/sdk';
import { describeHeldKeysend } from './describe.js';
import type { RivuletNode } from './node.js';

/** The endpoints of keysends that wait for a decision. */
export function keysendService(node: RivuletNode): Pick<NodeService, 'heldKeysends' | 'decideKeysend'> {
  const { receiver } = node.payments;
  return {
    heldKeysends: async () => ({ keysends: receiver.waitingKeysends().map(describeHeldKeysend) }),
    decideKeysend: async ({ paymentHash, accept }) => {
      await receiver.decideKeysend(hexToBytes(paymentHash), { accept });
      return {};
    },
  };
}
