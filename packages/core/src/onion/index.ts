export * from './attributedFailure.js';
export * from './createOnion.js';
export * from './failureMessage.js';
export * from './failureOnion.js';
export * from './hopPayload.js';
export * from './onionError.js';
export { onionBytesLeft, paymentPayloadsLength } from './onionPacket.js';
export * from './peelOnion.js';
export * from './recordRoom.js';
