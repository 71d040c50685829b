export { defaultChannelPolicy } from './channelPolicies.js';
export { type NodeEvents, type NodeOptions, type NodePolicy, RivuletNode } from './node.js';
export { toNodeAddress } from './nodeAddresses.js';
export { OpeningError, type OpeningErrorCode } from './openingError.js';
export { defaultPaymentPolicy } from './paymentPolicy.js';
export { PaymentError, type PaymentErrorCode } from './payments/paymentError.js';
export { createService, type Miner } from './service.js';
