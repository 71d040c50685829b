export * from './appointment.js';
export * from './penalty.js';
export * from './receipts.js';
export * from './revokedState.js';
export * from './signedMessage.js';
export * from './towerErrors.js';
export * from './towerUser.js';
export { decodeZbase32, encodeZbase32 } from './zbase32.js';
