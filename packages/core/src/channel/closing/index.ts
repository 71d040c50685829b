export { isClean } from './closingState.js';
export { receiveClosingSigned } from './legacyClosing.js';
export { startNegotiationIfClean } from './negotiation.js';
export * from './shutdown.js';
export { receiveClosingComplete, receiveClosingSig } from './simpleClosing.js';
