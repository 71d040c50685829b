import { bytesToHex } from '@rivulet/core/bytes';
import type { Outpoint } from '@rivulet/core/tx';

/** An outpoint as a key of maps. The txid is in internal byte order: not for people. */
export function outpointKey({ txid, index }: Outpoint): string {
  return `${bytesToHex(txid)}:${index}`;
}
