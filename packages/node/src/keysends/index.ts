export { KeysendDesk } from './keysendDesk.js';
export { keysendPolicyService } from './policyService.js';
