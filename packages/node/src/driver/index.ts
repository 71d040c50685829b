export { defaultChannelPolicy } from './channelPolicies.js';
export { RivuletNode } from './node.js';
export { toNodeAddresses } from './nodeAddresses.js';
export { useOpensslCrypto } from './nodeCrypto.js';
export type { NodeEvents, NodeOptions, NodePolicy } from './nodeOptions.js';
export { OpeningError, type OpeningErrorCode } from './openingError.js';
export { defaultPaymentPolicy } from './paymentPolicy.js';
export { PaymentError, type PaymentErrorCode } from './payments/paymentError.js';
export { createService, type Miner } from './service.js';
