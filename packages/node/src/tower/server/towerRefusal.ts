import { RivuletError } from '@rivulet/core/bytes';
import { towerErrorCodes } from '@rivulet/core/tower';

/** An answer of a tower that is no success: the status of HTTP, and the protocol's own code. */
export class TowerRefusal extends RivuletError<keyof typeof towerErrorCodes> {
  readonly status: number;

  constructor(code: keyof typeof towerErrorCodes, message: string, status = 400) {
    super(code, message);
    this.status = status;
  }

  get errorCode(): number {
    return towerErrorCodes[this.code];
  }
}

/** The signature is nobody's who may ask for this. */
export function notAuthenticated(message: string): TowerRefusal {
  return new TowerRefusal('invalidSignatureOrSubscription', message, 401);
}

export function unavailable(message: string): TowerRefusal {
  return new TowerRefusal('serviceUnavailable', message, 503);
}
