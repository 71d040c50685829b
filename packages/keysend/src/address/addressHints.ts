import { bytesToHex, hexToBytes, RivuletError } from '@rivulet/core/bytes';
import { publicCurve } from '@rivulet/core/crypto';
import type { HintHop } from '@rivulet/core/graph';
import { formatShortChannelId, parseShortChannelId } from '@rivulet/core/wire';
import { KeysendError } from '../keysendError.js';
import { verifyNodeSignature } from '../proof/nodeSignature.js';
import { isJsonObject, type JsonObject, type JsonValue, jsonField } from '../records/json.js';
import { parseKeysendAddress } from './keysendAddress.js';

/** Ways to a node without announced channels, as docs/keysend-address-hints.md defines them. */
export type AddressHints = readonly (readonly HintHop[])[];

/** Hints with the node's signature: the field `rivulet` of a keysend address's answer. */
export interface SignedHints {
  readonly hints: AddressHints;
  /** Seconds since 1970. */
  readonly expires: number;
  /** By the node that the answer names, over `hintsText`; zbase32. */
  readonly signature: string;
}

/** Why hints are not used. A payment without them is tried all the same. */
export type HintsProblem = 'malformed' | 'expired' | 'signature_invalid';

const maxHints = 8;
const maxHintHops = 4;
/** Further ahead nobody knows the fees of channels. */
const maxLifetimeSeconds = 366 * 86_400;
const maxMsat = 21_000_000n * 100_000_000n * 1000n;

/** What hints are for: the node, the address that it is named under, and until when. */
export interface HintsSubject {
  /** 66 hex digits. */
  readonly nodeId: string;
  /** name@host */
  readonly address: string;
  /** Seconds since 1970. */
  readonly expires: number;
}

/**
 * The text that the node signs: one line, and only one for each content.
 * @throws KeysendError `request_invalid` for hints that cannot be said; `address_invalid`
 */
export function hintsText({
  nodeId,
  address,
  expires,
  hints,
}: HintsSubject & { hints: AddressHints }): string {
  if (!/^0[23][0-9a-f]{64}$/.test(nodeId))
    throw unsayable('the node id has to be 66 hex digits in lower case');
  if (!Number.isSafeInteger(expires) || expires <= 0)
    throw unsayable('the expiry has to be seconds since 1970');
  if (hints.length === 0 || hints.length > maxHints)
    throw unsayable(`there have to be 1 to ${maxHints} hints`);
  const ways = hints.map((hops) => {
    if (hops.length === 0 || hops.length > maxHintHops) {
      throw unsayable(`a hint has 1 to ${maxHintHops} hops`);
    }
    return hops.map(hopText).join(',');
  });
  const { text } = parseKeysendAddress(address);
  return `keysend-address-hints:1 ${text} ${nodeId} ${expires} ${ways.join(';')}`;
}

function hopText(hop: HintHop): string {
  const { nodeId, shortChannelId, feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta } = hop;
  const { htlcMinimumMsat, htlcMaximumMsat } = hop;
  const fits =
    isPoint(nodeId) &&
    BigInt.asUintN(64, shortChannelId) === shortChannelId &&
    isUint(feeBaseMsat, 32) &&
    isUint(feeProportionalMillionths, 32) &&
    isUint(cltvExpiryDelta, 16) &&
    [htlcMinimumMsat, htlcMaximumMsat].every((msat) => msat === undefined || (msat >= 0n && msat <= maxMsat));
  if (!fits) throw unsayable('a hop has a node id, a fee, a delta or an amount that cannot be');
  return [
    bytesToHex(nodeId),
    formatShortChannelId(shortChannelId),
    feeBaseMsat,
    feeProportionalMillionths,
    cltvExpiryDelta,
    htlcMinimumMsat ?? '-',
    htlcMaximumMsat ?? '-',
  ].join('/');
}

/**
 * Makes the hints of an address, signed.
 * @param sign the node's `signmessage`: of a wallet (`signMessage`), or of a key (`signAsNode`).
 * @throws KeysendError `request_invalid`, `address_invalid`; `signature_invalid` where another node signed.
 */
export async function signHints(
  content: HintsSubject & { readonly hints: AddressHints },
  sign: (text: string) => string | Promise<string>,
): Promise<SignedHints> {
  const text = hintsText(content);
  const signature = await sign(text);
  if (verifyNodeSignature(text, signature) !== content.nodeId) {
    throw new KeysendError('signature_invalid', `the hints were not signed by ${content.nodeId}`);
  }
  const { hints, expires } = content;
  return { hints, expires, signature };
}

/** The field as it stands in the answer. */
export function hintsToJson({ hints, expires, signature }: SignedHints): JsonObject {
  return {
    hints: hints.map((hops) =>
      hops.map((hop) => ({
        nodeId: bytesToHex(hop.nodeId),
        shortChannelId: formatShortChannelId(hop.shortChannelId),
        feeBaseMsat: hop.feeBaseMsat,
        feeProportionalMillionths: hop.feeProportionalMillionths,
        cltvExpiryDelta: hop.cltvExpiryDelta,
        ...(hop.htlcMinimumMsat === undefined ? {} : { htlcMinimumMsat: hop.htlcMinimumMsat.toString() }),
        ...(hop.htlcMaximumMsat === undefined ? {} : { htlcMaximumMsat: hop.htlcMaximumMsat.toString() }),
      })),
    ),
    expires,
    signature,
  };
}

/**
 * Reads the field. The hints are there only where they are well-formed, not expired, and signed by the node that the
 * answer names, for this address.
 */
export function readHints(
  json: JsonValue,
  { nodeId, address, nowMs }: { nodeId: string; address: string; nowMs: number },
): { readonly hints: AddressHints; readonly expires: number } | { readonly problem: HintsProblem } {
  const read = hintsOf(json);
  if (read === undefined) return { problem: 'malformed' };
  const { hints, expires, signature } = read;
  const nowSeconds = Math.floor(nowMs / 1000);
  if (expires <= nowSeconds || expires > nowSeconds + maxLifetimeSeconds) return { problem: 'expired' };
  const signer = verifyNodeSignature(hintsText({ hints, expires, nodeId, address }), signature);
  return signer === nodeId ? { hints, expires } : { problem: 'signature_invalid' };
}

function hintsOf(json: JsonValue): SignedHints | undefined {
  if (!isJsonObject(json)) return undefined;
  const [list, expires, signature] = ['hints', 'expires', 'signature'].map((name) => jsonField(json, name));
  if (typeof expires !== 'number' || !Number.isSafeInteger(expires) || expires <= 0) return undefined;
  if (typeof signature !== 'string') return undefined;
  const hints = listOf(list, maxHints)?.map((hops) => listOf(hops, maxHintHops)?.map(hopOf));
  if (hints === undefined) return undefined;
  const complete = hints.filter(
    (hops): hops is HintHop[] => hops?.every((hop) => hop !== undefined) === true,
  );
  return complete.length === hints.length ? { hints: complete, expires, signature } : undefined;
}

function listOf(json: JsonValue | undefined, max: number): readonly JsonValue[] | undefined {
  if (!Array.isArray(json)) return undefined;
  return json.length > 0 && json.length <= max ? (json as readonly JsonValue[]) : undefined;
}

function hopOf(json: JsonValue): HintHop | undefined {
  if (!isJsonObject(json)) return undefined;
  const nodeId = jsonField(json, 'nodeId');
  const channel = jsonField(json, 'shortChannelId');
  const feeBaseMsat = jsonField(json, 'feeBaseMsat');
  const feeProportionalMillionths = jsonField(json, 'feeProportionalMillionths');
  const cltvExpiryDelta = jsonField(json, 'cltvExpiryDelta');
  const htlcMinimumMsat = msatOf(jsonField(json, 'htlcMinimumMsat'));
  const htlcMaximumMsat = msatOf(jsonField(json, 'htlcMaximumMsat'));
  if (typeof nodeId !== 'string' || !/^0[23][0-9a-f]{64}$/.test(nodeId)) return undefined;
  if (!isPoint(hexToBytes(nodeId))) return undefined;
  if (!isUint(feeBaseMsat, 32) || !isUint(feeProportionalMillionths, 32) || !isUint(cltvExpiryDelta, 16)) {
    return undefined;
  }
  if (htlcMinimumMsat === 'invalid' || htlcMaximumMsat === 'invalid') return undefined;
  const shortChannelId = channelOf(channel);
  if (shortChannelId === undefined) return undefined;
  return {
    nodeId: hexToBytes(nodeId),
    shortChannelId,
    feeBaseMsat,
    feeProportionalMillionths,
    cltvExpiryDelta,
    ...(htlcMinimumMsat === undefined ? {} : { htlcMinimumMsat }),
    ...(htlcMaximumMsat === undefined ? {} : { htlcMaximumMsat }),
  };
}

function channelOf(json: JsonValue | undefined): bigint | undefined {
  if (typeof json !== 'string') return undefined;
  try {
    const id = parseShortChannelId(json);
    return formatShortChannelId(id) === json ? id : undefined;
  } catch (error) {
    if (error instanceof RivuletError) return undefined;
    throw error;
  }
}

function msatOf(json: JsonValue | undefined): bigint | undefined | 'invalid' {
  if (json === undefined) return undefined;
  if (typeof json !== 'string' || !/^(?:0|[1-9]\d{0,18})$/.test(json)) return 'invalid';
  const msat = BigInt(json);
  return msat <= maxMsat ? msat : 'invalid';
}

function isUint(value: unknown, bits: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** bits;
}

function isPoint(nodeId: Uint8Array): boolean {
  return nodeId.length === 33 && publicCurve.isPublicKey(nodeId);
}

function unsayable(reason: string): KeysendError {
  return new KeysendError('request_invalid', `hints of a keysend address: ${reason}`);
}
