import { RivuletError } from '../bytes/index.js';

/** `state_malformed`: stored bytes that are no revoked state. */
export class TowerError extends RivuletError<'state_malformed'> {}
