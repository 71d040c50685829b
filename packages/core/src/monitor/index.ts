export * from './claim.js';
export * from './commitmentStakes.js';
export * from './examineSpend.js';
export { classifySpend, type FundingSpend } from './fundingSpend.js';
export * from './revealedPreimages.js';
