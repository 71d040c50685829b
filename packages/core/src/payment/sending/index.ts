export * from './attemptOnion.js';
export * from './attemptOutcome.js';
export * from './paymentRequest.js';
export * from './planSending.js';
export * from './sending.js';
export * from './sendingCodec.js';
export * from './sendingFailure.js';
export * from './slowHop.js';
