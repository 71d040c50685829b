import { hexToBytes } from '@rivulet/core/bytes';
import { usageError } from '../cliError.js';

const keysendPreimageType = 5482373484n;
const firstCustomType = 65_536n;
const maxType = 0xffff_ffff_ffff_ffffn;

/** Custom records, each `type=hex`. @throws CliError */
export function parseRecords(texts: readonly string[]): Map<bigint, Uint8Array> {
  const records = new Map<bigint, Uint8Array>();
  for (const text of texts) {
    const [, digits, value] = /^(\d{1,20})=((?:[0-9a-f]{2})*)$/i.exec(text) ?? [];
    if (digits === undefined || value === undefined) {
      const shown = JSON.stringify(text.slice(0, 60));
      throw usageError(`${shown} is no record: give its type and value in hex, for example 7629169=7b7d`);
    }
    const type = BigInt(digits);
    if (type > maxType) throw usageError(`record type ${digits} is too large: types have 64 bits`);
    if (type < firstCustomType) {
      throw usageError(`record type ${digits} belongs to the protocol: custom types start at 65536`);
    }
    if (type === keysendPreimageType) {
      throw usageError(`record type ${digits} is the keysend preimage, which the daemon makes itself`);
    }
    if (records.has(type)) throw usageError(`record type ${digits} is given twice`);
    records.set(type, hexToBytes(value));
  }
  return records;
}
