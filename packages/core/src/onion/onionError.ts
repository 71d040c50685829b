import { RivuletError } from '../bytes/rivuletError.js';

export type OnionErrorCode =
  | 'route_empty'
  /** The payloads of the route need more room than the onion has. */
  | 'onion_full'
  /** A payload of fewer than 2 bytes, which BOLT 4 reserves. */
  | 'payload_too_short'
  /** A custom record under a type that a field of the payload has, or that a reader must refuse. */
  | 'custom_record_type_invalid'
  | 'failure_too_large'
  /** A failure message whose fields do not fit their formats. */
  | 'failure_invalid';

/** An onion or a failure that cannot be made as asked. */
export class OnionError extends RivuletError<OnionErrorCode> {}

/** The payloads do not fit: `roomBytes` is what the onion has, `neededBytes` what the route would take. */
export class OnionFullError extends OnionError {
  readonly neededBytes: number;
  readonly roomBytes: number;

  constructor(neededBytes: number, roomBytes: number) {
    super(
      'onion_full',
      `the payloads of this route take ${neededBytes} bytes but the onion has ${roomBytes}: ` +
        `shorten the records by ${neededBytes - roomBytes} bytes or find a shorter route`,
    );
    this.neededBytes = neededBytes;
    this.roomBytes = roomBytes;
  }
}
