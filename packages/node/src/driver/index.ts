export { type NodeEvents, type NodeOptions, type NodePolicy, RivuletNode } from './node.js';
export { OpeningError, type OpeningErrorCode } from './openingError.js';
export { PaymentError, type PaymentErrorCode } from './paymentError.js';
export { createService, type Miner } from './service.js';
