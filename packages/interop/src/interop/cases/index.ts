import type { InteropCase } from '../interopCase.js';
import { childrenPayCases } from './childrenPay.js';
import { cooperativeCloseCases } from './cooperativeCloses.js';
import { crashCases } from './crashes.js';
import { dataLossCases } from './dataLoss.js';
import { disconnectCases } from './disconnects.js';
import { feeCases } from './fees.js';
import { forceCloseCases } from './forceCloses.js';
import { htlcCloseCases } from './htlcCloses.js';
import { interruptionCases } from './interruptions.js';
import { keysendCases } from './keysends.js';
import { forwardedFailureCases } from './network/failuresForwarded.js';
import { sentFailureCases } from './network/failuresSent.js';
import { networkGossipCases } from './network/gossip.js';
import { networkHoldCases } from './network/holds.js';
import { networkPaymentCases } from './network/payments.js';
import { rebalancingCases } from './network/rebalancing.js';
import { networkRestartCases } from './network/restarts.js';
import { networkWalkCases } from './network/walks.js';
import { networkWayCases } from './network/ways.js';
import { openingCases } from './openings.js';
import { paymentCases } from './payments.js';
import { penaltyCases } from './penalties.js';
import { pendingCloseCases } from './pendingCloses.js';
import { randomWalkCases } from './randomWalks.js';
import { restoredCases } from './restored.js';

/** Every case, the simplest first. */
export const allCases: readonly InteropCase[] = [
  ...keysendCases,
  ...openingCases,
  ...paymentCases,
  ...feeCases,
  ...cooperativeCloseCases,
  ...forceCloseCases,
  ...pendingCloseCases,
  ...htlcCloseCases,
  ...childrenPayCases,
  ...disconnectCases,
  ...interruptionCases,
  ...crashCases,
  ...dataLossCases,
  ...restoredCases,
  ...penaltyCases,
  ...randomWalkCases,
  ...networkPaymentCases,
  ...networkGossipCases,
  ...sentFailureCases,
  ...forwardedFailureCases,
  ...networkRestartCases,
  ...networkHoldCases,
  ...rebalancingCases,
  ...networkWayCases,
  ...networkWalkCases,
];

/** A few that take seconds. */
export const smokeCases: readonly InteropCase[] = [
  ...keysendCases,
  ...cooperativeCloseCases.slice(0, 4),
  ...networkPaymentCases.filter((_, i) => [0, 3, 5, 7].includes(i)),
];
