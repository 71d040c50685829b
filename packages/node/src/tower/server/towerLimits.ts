/** What a tower takes on. Everything that a user can make it keep or do is bounded here. */
export interface TowerLimits {
  /** What one registration gives: appointments of up to 2,048 bytes. */
  readonly slotsPerRegistration: number;
  /** What a user may have free at once by registering again and again. */
  readonly maxFreeSlots: number;
  /** How long a registration lasts, in blocks. */
  readonly subscriptionBlocks: number;
  /** How far ahead a user may be subscribed by registering again and again. */
  readonly maxSubscriptionBlocks: number;
  /** How long the appointments of an expired subscription are kept, and watched for, all the same. */
  readonly graceBlocks: number;
  readonly maxUsers: number;
  /** The bytes of all blobs, and 400 more for each. */
  readonly maxBlobBytes: number;
  /** The bytes of one blob. */
  readonly maxBlob: number;
  /** The locators that an answer lists. */
  readonly maxListedLocators: number;
  /** Cheats that are answered at the same time; at least as many as there may be users. */
  readonly maxTrackers: number;
  readonly maxTrackersPerUser: number;
  /** What children of penalties may cost the tower's wallet within a day's blocks: users can make it pay that much. */
  readonly feeBudgetSat: bigint;
  /** Nothing is taken on where the disk of the tower's file has less free than this. */
  readonly minFreeBytes: number;
}

export const defaultTowerLimits: TowerLimits = {
  slotsPerRegistration: 10_000,
  maxFreeSlots: 100_000,
  subscriptionBlocks: 4_320,
  maxSubscriptionBlocks: 12_960,
  graceBlocks: 144,
  maxUsers: 10_000,
  maxBlobBytes: 10_000_000_000,
  maxBlob: 8_192,
  maxListedLocators: 20_000,
  maxTrackers: 20_000,
  maxTrackersPerUser: 1_000,
  feeBudgetSat: 1_000_000n,
  minFreeBytes: 1_000_000_000,
};
