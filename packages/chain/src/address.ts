import { concatBytes, RivuletError } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { bech32, bech32m, createBase58check } from '@scure/base';
import { type Network, type NetworkParameters, networks } from './network.js';

export type AddressErrorCode =
  /** No address at all, or a checksum that does not match. */
  | 'address_malformed'
  /** A valid address of another network. */
  | 'address_wrong_network'
  /** A script that has no address. */
  | 'address_no_such_form';

export class AddressError extends RivuletError<AddressErrorCode> {}

const base58check = createBase58check(sha256);

function witnessScript(version: number, program: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(version === 0 ? 0 : 0x50 + version, program.length), program);
}

/** The version and program of a segregated witness output (BIP 141). */
export function witnessProgramOf(script: Uint8Array): { version: number; program: Uint8Array } | undefined {
  const opcode = script[0];
  if (opcode === undefined || script.length < 4 || script.length > 42) return undefined;
  if (opcode !== 0 && (opcode < 0x51 || opcode > 0x60)) return undefined;
  if (script[1] !== script.length - 2) return undefined;
  return { version: opcode === 0 ? 0 : opcode - 0x50, program: script.subarray(2) };
}

function decodeSegwit(text: string, separator: number): { prefix: string; script: Uint8Array } {
  // BIP 350: version 0 is encoded with bech32, all later ones with bech32m.
  for (const codec of [bech32, bech32m]) {
    const decoded = codec.decodeUnsafe(text, 90);
    if (decoded === undefined) continue;
    const version = decoded.words[0];
    const program = codec.fromWordsUnsafe(decoded.words.slice(1));
    if (version === undefined || !program) break;
    if (version > 16 || program.length < 2 || program.length > 40) break;
    if (version === 0 && program.length !== 20 && program.length !== 32) break;
    if ((version === 0) !== (codec === bech32)) break;
    return { prefix: text.slice(0, separator).toLowerCase(), script: witnessScript(version, program) };
  }
  throw new AddressError('address_malformed', 'this is no valid segregated witness address: check for typos');
}

function decodeBase58(text: string, parameters: NetworkParameters): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = base58check.decode(text);
  } catch (cause) {
    throw new AddressError('address_malformed', 'this is no Bitcoin address: check for typos', { cause });
  }
  const hash = bytes.subarray(1);
  if (hash.length !== 20) throw new AddressError('address_malformed', 'this is no Bitcoin address');
  if (bytes[0] === parameters.pubkeyHashVersion) {
    return concatBytes(Uint8Array.of(0x76, 0xa9, 20), hash, Uint8Array.of(0x88, 0xac));
  }
  if (bytes[0] === parameters.scriptHashVersion) {
    return concatBytes(Uint8Array.of(0xa9, 20), hash, Uint8Array.of(0x87));
  }
  throw new AddressError('address_wrong_network', `this is no address of ${parameters.network}`);
}

/**
 * The output script of an address: bech32, bech32m (BIP 173, BIP 350) or base58.
 * @throws AddressError
 */
export function addressToScript(address: string, network: Network): Uint8Array {
  const parameters = networks[network];
  const separator = address.lastIndexOf('1');
  const prefix = address.slice(0, Math.max(separator, 0)).toLowerCase();
  const known = Object.values(networks).some((one) => one.bech32Prefix === prefix);
  if (!known) return decodeBase58(address, parameters);
  const decoded = decodeSegwit(address, separator);
  if (decoded.prefix !== parameters.bech32Prefix) {
    throw new AddressError('address_wrong_network', `this is no address of ${network}`);
  }
  return decoded.script;
}

/**
 * The address of an output script.
 * @throws AddressError for a script that has none (bare multisig, OP_RETURN, ...).
 */
export function scriptToAddress(script: Uint8Array, network: Network): string {
  const parameters = networks[network];
  const witness = witnessProgramOf(script);
  if (witness !== undefined) {
    const { version, program } = witness;
    if (version !== 0 || program.length === 20 || program.length === 32) {
      const codec = version === 0 ? bech32 : bech32m;
      return codec.encode(parameters.bech32Prefix, [version, ...codec.toWords(program)]);
    }
  }
  if (script.length === 25 && script[0] === 0x76 && script[1] === 0xa9 && script[2] === 20) {
    if (script[23] === 0x88 && script[24] === 0xac) {
      return base58check.encode(
        concatBytes(Uint8Array.of(parameters.pubkeyHashVersion), script.subarray(3, 23)),
      );
    }
  }
  if (script.length === 23 && script[0] === 0xa9 && script[1] === 20 && script[22] === 0x87) {
    return base58check.encode(
      concatBytes(Uint8Array.of(parameters.scriptHashVersion), script.subarray(2, 22)),
    );
  }
  throw new AddressError('address_no_such_form', 'this script has no address');
}
