export * from './script.js';
export * from './transaction.js';
export * from './transactionError.js';
