export * from './createInvoice.js';
export { decodeInvoice } from './decodeInvoice.js';
export * from './invoice.js';
export * from './invoiceError.js';
