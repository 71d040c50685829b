export { signAsNode, verifyNodeSignature } from './nodeSignature.js';
