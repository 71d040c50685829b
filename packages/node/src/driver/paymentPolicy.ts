import { defaultForwardLimits } from '@rivulet/core/forwarding';
import { defaultChannelPolicy } from './channelPolicies.js';

/** What a node does with payments where its owner says nothing; see NodePolicy. */
export const defaultPaymentPolicy = {
  sending: { maxFeePercent: 5, maxCltvDelta: 1_008, timeoutMs: 60_000 },
  gossip: { enabled: true, checkFunding: true },
  rebalance: {
    enabled: false,
    minLocalPercent: 25,
    maxLocalPercent: 75,
    channels: [],
    maxFeePpm: 200,
    dailyBudgetSat: 1_000n,
    intervalMs: 600_000,
  },
  forwarding: { enabled: true, limits: defaultForwardLimits, policy: defaultChannelPolicy },
};
