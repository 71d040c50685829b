import { RivuletError } from '@rivulet/core/bytes';

/** Bitcoin Core's error codes. */
export const rpcCodes = {
  miscellaneous: -1,
  type: -3,
  invalidAddressOrKey: -5,
  invalidParameter: -8,
  database: -20,
  deserialization: -22,
  verify: -25,
  verifyRejected: -26,
  verifyAlreadyInUtxoSet: -27,
  inWarmup: -28,
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  internal: -32603,
} as const;

/** An error answer of the JSON-RPC server. */
export class RpcError extends RivuletError<'rpc_error'> {
  readonly rpcCode: number;

  constructor(rpcCode: number, message: string) {
    super('rpc_error', message);
    this.rpcCode = rpcCode;
  }
}
