import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import * as ldk from 'lightningdevkit';
import * as untypedBindings from 'lightningdevkit/bindings.mjs';
import { CommonBase } from 'lightningdevkit/structs/CommonBase.mjs';
import { LdkError } from './ldkError.js';

// The declarations of the bindings leave out their functions.
const bindings = untypedBindings as unknown as Record<
  | 'NetworkGraph_free'
  | 'ChannelMonitor_free'
  | 'ChannelMonitorUpdate_free'
  | 'OutPoint_free'
  | 'Record_free'
  | 'ChannelDetails_free',
  (pointer: bigint) => void
>;

let loaded: Promise<void> | undefined;

async function load(): Promise<void> {
  const path = createRequire(import.meta.url).resolve('lightningdevkit/liblightningjs.wasm');
  const binary = await readFile(path);
  // The bindings greet on standard output, which is not theirs.
  const log = console.log;
  console.log = () => {};
  try {
    await ldk.initializeWasmFromBinary(binary);
  } finally {
    console.log = log;
  }
}

/** Loads LDK's WebAssembly once a process; every node of the process shares its memory. */
export function loadLdk(): Promise<void> {
  loaded ??= load();
  return loaded;
}

// The two members are `protected` in the declarations, but the only way to free by hand.
const pointers = CommonBase as unknown as {
  get_ptr_of(object: object): bigint;
  set_null_skip_free(object: object): void;
};

/** Whether the bindings wrapped a null, as they do for an absent `ChannelMonitorUpdate` or funding outpoint. */
export function isNull(object: object): boolean {
  return pointers.get_ptr_of(object) === 0n;
}

function free(object: object, release: (pointer: bigint) => void): void {
  const pointer = pointers.get_ptr_of(object);
  if (pointer === 0n) return;
  pointers.set_null_skip_free(object);
  release(pointer);
}

/**
 * Frees the clones that LDK hands to a Persist callback. Left to the finalizer, which knows nothing of
 * their size in WebAssembly's memory, whole monitors pile up to a gigabyte.
 */
export function freePersistArguments(
  ...objects: readonly (ldk.ChannelMonitor | ldk.ChannelMonitorUpdate | ldk.OutPoint)[]
): void {
  for (const object of objects) {
    if (object instanceof ldk.ChannelMonitor) free(object, bindings.ChannelMonitor_free);
    else if (object instanceof ldk.OutPoint) free(object, bindings.OutPoint_free);
    else free(object, bindings.ChannelMonitorUpdate_free);
  }
}

/** Frees a record of the log, of which LDK makes dozens a payment. */
export function freeLogRecord(record: ldk.Record): void {
  free(record, bindings.Record_free);
}

/** Frees a network graph, which nothing may use any more. */
export function freeGraph(graph: ldk.NetworkGraph): void {
  free(graph, bindings.NetworkGraph_free);
}

/** Frees a channel's details with their lists of HTLCs. */
export function freeChannelDetails(details: ldk.ChannelDetails): void {
  free(details, bindings.ChannelDetails_free);
}

/** The value of one of the bindings' option types. */
export function optional<T>(option: object): T | undefined {
  return 'some' in option ? (option.some as T) : undefined;
}

/** The feature bits of little-endian flags. */
export function featureBits(flags: Uint8Array): number[] {
  const bits: number[] = [];
  for (let bit = 0; bit < flags.length * 8; bit++) {
    if (((flags[bit >> 3] as number) >> (bit & 7)) & 1) bits.push(bit);
  }
  return bits;
}

/** The name of a variant: `ClosureReason_HTLCsTimedOut` is `HTLCsTimedOut`. */
export function variantName(object: object): string {
  const { name } = object.constructor;
  return name.slice(name.indexOf('_') + 1);
}

/** The error of a call that LDK refused: `result` is the bindings' Result, whose Err holds an APIError. */
export function refusal(action: string, result: object): LdkError {
  const cause = 'err' in result ? result.err : undefined;
  const detail =
    typeof cause === 'object' && cause !== null && 'err' in cause ? `: ${String(cause.err)}` : '';
  const kind = typeof cause === 'object' && cause !== null ? variantName(cause) : 'unknown reason';
  return new LdkError('ldk_refused', `LDK does not ${action}: ${kind}${detail}`);
}

/**
 * A random number to know a channel by. Its bytes read the same from both ends: the bindings write 128-bit
 * numbers in little endian, and read them in big endian. They also take 2^124 for the limit.
 */
export function createUserChannelId(): bigint {
  const half = randomBytes(8);
  half[0] = half.readUInt8(0) & 0x0f;
  const mirrored = Uint8Array.from(half).reverse();
  return BigInt(`0x${half.toString('hex')}${Buffer.from(mirrored).toString('hex')}`);
}
