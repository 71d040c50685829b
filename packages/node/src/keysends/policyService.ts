import { RivuletError } from '@rivulet/core/bytes';
import { type NodeService, ServiceError } from '@rivulet/sdk';
import type { KeysendPolicy } from './keysendPolicy.js';

/** The endpoints of the policy by which keysends are judged. */
export function keysendPolicyService(
  policy: KeysendPolicy,
): Pick<NodeService, 'keysendPolicy' | 'setKeysendPolicy'> {
  const describe = () => {
    const { accepted, held, refused, refusedBy, heldBy } = policy.statistics;
    return {
      policy: policy.settings as Record<string, unknown>,
      statistics: { accepted, held, refused, refusedBy: { ...refusedBy }, heldBy: { ...heldBy } },
    };
  };
  return {
    keysendPolicy: async () => describe(),
    setKeysendPolicy: async ({ policy: json }) => {
      try {
        policy.set(json);
      } catch (cause) {
        if (!(cause instanceof RivuletError) || cause.code !== 'request_invalid') throw cause;
        throw new ServiceError('request_invalid', cause.message);
      }
      return describe();
    },
  };
}
