import { triggerSecret } from '@rivulet/keysend/automation';

/** What results are signed with. @param {Uint8Array} secret that of the app */
export function resultSecret(secret) {
  return triggerSecret(secret, 'results');
}
