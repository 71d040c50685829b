/**
 * What is believed of the liquidity of a channel that nothing is known of, as a share x of its capacity.
 *
 * Payments in a network have sources and sinks, so that a channel's balance drifts until it is used up on one
 * side: most channels are nearly empty or nearly full, seen from either end. The density is therefore
 * bimodal and symmetric: `u + (1 - u) * 5 * (2x - 1)^4`. Its integral needs no logarithm and no exponential.
 * The uniform share u keeps the middle possible: channels that somebody rebalances.
 */
const uniformShare = 0.25;

/** The least probability that an estimate gives: nobody is sure of a channel of others. */
export const leastProbability = 0.001;

/** The probability that the liquidity is below the share `x`. */
function shareBelow(x: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const d = 2 * x - 1;
  return uniformShare * x + (1 - uniformShare) * 0.5 * (d * d * d * d * d + 1);
}

/** How likely a liquidity known to be in [lower, upper] is to reach `amount`; all in one unit. */
export function probabilityAtLeast(
  amount: number,
  { lower, upper, capacity }: { lower: number; upper: number; capacity: number },
): number {
  if (amount <= lower) return 1;
  if (amount > upper) return 0;
  const atUpper = shareBelow(upper / capacity);
  const spread = atUpper - shareBelow(lower / capacity);
  if (spread < 1e-9) return (upper - amount) / Math.max(upper - lower, 1);
  return (atUpper - shareBelow(amount / capacity)) / spread;
}

/**
 * A maximum well below the capacity is a valve: its owner chose it, mostly to say what the channel can carry
 * now. In so many cases it is taken to be true.
 */
const valveTrust = 0.3;
export const valveShare = 0.9;

/** How many steps the tables of penalties have for x from 0 to 1. */
export const priorSteps = 512;

function penaltyTable(trust: number): Float64Array {
  // One more than needed, so that the interpolation at x = 1 reads within the table.
  return Float64Array.from({ length: priorSteps + 2 }, (_, step) => {
    const probability = trust + (1 - trust) * (1 - shareBelow(step / priorSteps));
    return -Math.log(Math.max(probability, leastProbability));
  });
}

/** By step: minus the logarithm of the probability that a channel nothing is known of carries x. */
export const priorPenalties = penaltyTable(0);
/** The same for a channel whose maximum is a valve. */
export const valvePenalties = penaltyTable(valveTrust);

/** A hint's channel has no capacity that we know; who gives the hint wants to be paid over it. */
export const unknownCapacityPenalty = -Math.log(0.9);

/**
 * Whatever the amount, a channel may be out of service; most likely when it is young: those that turn out
 * not to work are closed in their first months. As minus a logarithm, about 0.5 % for an old one.
 */
export const oldOutage = 0.005;
export const youngOutage = 0.03;
/** After so many blocks, a month, a young channel has half of the risk more. */
export const youngBlocks = 4320;
