/** How a search compares routes: all in msat of cost. */
export interface RouteWeights {
  /** What one msat of fee costs. */
  readonly feeFactor: number;
  /** What locking one msat for one block costs, in msat. */
  readonly timeLockPerMsatBlock: number;
  /** What one block of time lock costs whatever the amount, in msat. */
  readonly timeLockPerBlock: number;
  /** What each hop costs whatever it is, in msat. */
  readonly hop: number;
  /** What a probability of 1/e costs whatever the amount, in msat: time and a failed attempt. */
  readonly failureBase: number;
  /** What a probability of 1/e costs for each msat of the amount. */
  readonly failurePerMsat: number;
}

/**
 * A failed attempt costs a second or two, and the amount is locked meanwhile: that it takes e attempts is
 * worth 5 sat and 0.1 % of the amount to us. A hop more is a little slower, and one more node that learns of the
 * payment. 1.5e-8 for a msat and block is 0.08 % a year.
 */
export const defaultRouteWeights: RouteWeights = {
  feeFactor: 1,
  timeLockPerMsatBlock: 1.5e-8,
  timeLockPerBlock: 0.5,
  hop: 200,
  failureBase: 5000,
  failurePerMsat: 0.001,
};

/** The cheapest route, whatever its chance; ties go to fewer hops. */
export const cheapestWeights: RouteWeights = {
  feeFactor: 1,
  timeLockPerMsatBlock: 0,
  timeLockPerBlock: 0,
  hop: 0.001,
  failureBase: 0,
  failurePerMsat: 0,
};

/** The route with the earliest expiry. */
export const soonestWeights: RouteWeights = {
  ...cheapestWeights,
  feeFactor: 0,
  timeLockPerBlock: 1,
};

/** The route of the fewest hops. */
export const shortestWeights: RouteWeights = { ...cheapestWeights, feeFactor: 0, hop: 1 };
