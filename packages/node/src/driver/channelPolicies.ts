import { ByteReader, ByteWriter, bytesToHex, RivuletError } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { defaultForwardLimits, type ForwardingPolicy } from '@rivulet/core/forwarding';
import type { NodeStorage } from '@rivulet/storage';
import type { ChannelKey, Turn } from './turns.js';

/** `htlcMaximumMsat` of a policy that follows the size of the channel. */
const capacityShare = 'capacity share';

/** What we ask of payments of others that go out over a channel. */
export interface ChannelPolicySettings extends Omit<ForwardingPolicy, 'htlcMaximumMsat'> {
  /** The most that one payment may have; `capacity share`: nine tenths of the channel. */
  readonly htlcMaximumMsat: bigint | typeof capacityShare;
}

/**
 * What holds where nothing else is set.
 * - 1 sat and 100 millionths: what a payment costs us in writes to the disk and in money that is bound for it
 *   does not depend on its amount alone.
 * - 80 blocks: our side of a channel goes to the chain 2 blocks after an HTLC's expiry and, for a preimage that
 *   we have, 18 blocks before it. The 60 between are for two transactions in a row, commitment and HTLC, whose
 *   fees nothing raises once they are signed; the 34 of BOLT 2's reckoning leave them 12 blocks.
 * - 1 sat: below that nobody can claim anything by itself, not even in the balance of a close.
 */
export const defaultChannelPolicy: ChannelPolicySettings = {
  feeBaseMsat: 1_000,
  feeProportionalMillionths: 100,
  cltvExpiryDelta: 80,
  htlcMinimumMsat: 1_000n,
  htlcMaximumMsat: capacityShare,
};

/** BOLT 7: channel_update, origin node: should keep accepting the previous channel parameters for 10 minutes. */
const graceMs = 600_000;
/** Of one channel; the oldest is given up where more than so many are changed in that time. */
const maxEarlier = 8;

const keyPrefix = 'channel-policy/';
const version = 1;

/** A policy that no channel_update can hold, or that would be no good to us. */
export class ChannelPolicyError extends RivuletError<'policy_invalid'> {
  constructor(message: string) {
    super('policy_invalid', message);
  }
}

interface Earlier {
  readonly settings: ChannelPolicySettings;
  /** Wall clock, milliseconds. */
  readonly untilMs: number;
}

/** What is stored of one channel: its own settings, and those before that are still honoured. */
interface Entry {
  readonly settings: ChannelPolicySettings;
  readonly earlier: readonly Earlier[];
}

/** The terms of a channel as others meet them. */
export interface ForwardTermsInForce {
  readonly policy: ForwardingPolicy;
  /** The best that was offered in the last ten minutes, field by field: payers may not know better yet. */
  readonly previousPolicy?: ForwardingPolicy;
}

const maxU32 = 0xffff_ffff;
const leastCltvExpiryDelta = defaultForwardLimits.minCltvExpiryDelta;

function checkWhole(name: string, value: number, { from, to }: { from: number; to: number }): void {
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw new ChannelPolicyError(`${name} is a whole number from ${from} to ${to}`);
}

function checkSettings(settings: ChannelPolicySettings): void {
  const { htlcMinimumMsat, htlcMaximumMsat } = settings;
  checkWhole('feeBaseMsat', settings.feeBaseMsat, { from: 0, to: maxU32 });
  checkWhole('feeProportionalMillionths', settings.feeProportionalMillionths, { from: 0, to: maxU32 });
  // Less is never taken (core's forwardLimits): payers that believed in it would all fail.
  checkWhole('cltvExpiryDelta', settings.cltvExpiryDelta, { from: leastCltvExpiryDelta, to: 2_016 });
  if (htlcMinimumMsat < 0n || htlcMinimumMsat >= 1n << 63n) {
    throw new ChannelPolicyError('htlcMinimumMsat is an amount');
  }
  if (htlcMaximumMsat !== capacityShare && (htlcMaximumMsat < 1n || htlcMaximumMsat >= 1n << 63n)) {
    throw new ChannelPolicyError('htlcMaximumMsat is an amount above zero');
  }
  if (htlcMaximumMsat !== capacityShare && htlcMaximumMsat < htlcMinimumMsat) {
    throw new ChannelPolicyError('htlcMaximumMsat cannot be below htlcMinimumMsat');
  }
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** A policy as a channel_update of this channel can tell it (BOLT 7: channel_update, origin node). */
function policyFor({ params }: Channel, settings: ChannelPolicySettings): ForwardingPolicy {
  const capacityMsat = params.fundingSat * 1000n;
  const wantedMsat =
    settings.htlcMaximumMsat === capacityShare ? (capacityMsat * 9n) / 10n : settings.htlcMaximumMsat;
  // At most the capacity, and at most the max_htlc_value_in_flight_msat of the peer.
  const mostMsat = smaller(capacityMsat, params.remote.maxHtlcValueInFlightMsat);
  const htlcMaximumMsat = smaller(wantedMsat, mostMsat);
  // At least what the peer will accept, and at most the maximum.
  const htlcMinimumMsat = smaller(
    larger(settings.htlcMinimumMsat, params.remote.htlcMinimumMsat),
    htlcMaximumMsat,
  );
  const { feeBaseMsat, feeProportionalMillionths } = settings;
  // Earlier versions stored less.
  const cltvExpiryDelta = Math.max(settings.cltvExpiryDelta, leastCltvExpiryDelta);
  return { feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta, htlcMinimumMsat, htlcMaximumMsat };
}

/** What a payer may have heard of any of these, to its best. */
function best(policies: readonly ForwardingPolicy[]): ForwardingPolicy | undefined {
  const [first, ...rest] = policies;
  if (first === undefined) return undefined;
  return rest.reduce(
    (a, b) => ({
      feeBaseMsat: Math.min(a.feeBaseMsat, b.feeBaseMsat),
      feeProportionalMillionths: Math.min(a.feeProportionalMillionths, b.feeProportionalMillionths),
      cltvExpiryDelta: Math.min(a.cltvExpiryDelta, b.cltvExpiryDelta),
      htlcMinimumMsat: smaller(a.htlcMinimumMsat, b.htlcMinimumMsat),
      htlcMaximumMsat: larger(a.htlcMaximumMsat, b.htlcMaximumMsat),
    }),
    first,
  );
}

/** On what terms each channel takes payments of others: the node's own, or those that were set for a channel. */
export class ChannelPolicies {
  readonly #storage: NodeStorage;
  readonly #defaults: ChannelPolicySettings;
  readonly #now: () => number;
  #entries = new Map<ChannelKey, Entry>();

  /** @throws ChannelPolicyError where the defaults are no policy. `now`: wall clock, milliseconds. */
  constructor(options: {
    readonly storage: NodeStorage;
    readonly defaults: ChannelPolicySettings;
    readonly now: () => number;
  }) {
    checkSettings(options.defaults);
    this.#storage = options.storage;
    this.#defaults = options.defaults;
    this.#now = options.now;
    this.reload();
  }

  /** Takes what is stored: at the start, and when a turn was rolled back. */
  reload(): void {
    this.#entries = new Map(
      this.#storage
        .listValues(keyPrefix)
        .map(({ key, value }) => [key.slice(keyPrefix.length), decodeEntry(value)]),
    );
  }

  /** What is set for a channel, by itself or for all. */
  settingsOf(key: ChannelKey): ChannelPolicySettings {
    return this.#entries.get(key)?.settings ?? this.#defaults;
  }

  /** What a payment of others over this channel is measured by. */
  termsOf(channel: Channel): ForwardTermsInForce {
    const entry = this.#entries.get(bytesToHex(channel.params.channelId));
    if (entry === undefined) return { policy: policyFor(channel, this.#defaults) };
    const now = this.#now();
    const honoured = entry.earlier.filter(({ untilMs }) => untilMs > now && untilMs <= now + graceMs);
    const previousPolicy = best(honoured.map(({ settings }) => policyFor(channel, settings)));
    return {
      policy: policyFor(channel, entry.settings),
      ...(previousPolicy === undefined ? {} : { previousPolicy }),
    };
  }

  /**
   * The settings that a change would make: to be asked before a turn is taken up for it.
   * @throws ChannelPolicyError
   */
  changed(key: ChannelKey, change: Partial<ChannelPolicySettings>): ChannelPolicySettings {
    const settings = { ...this.settingsOf(key), ...change };
    checkSettings(settings);
    return settings;
  }

  /**
   * Changes what is asked on a channel; fields that are left out stay as they are. The network has to hear of
   * it: see Announcing.policyChanged.
   * @throws ChannelPolicyError
   */
  set(
    turn: Turn,
    { key, change }: { key: ChannelKey; change: Partial<ChannelPolicySettings> },
  ): ChannelPolicySettings {
    const before = this.settingsOf(key);
    const settings = this.changed(key, change);
    const now = this.#now();
    const earlier = [
      ...(this.#entries.get(key)?.earlier ?? []).filter(({ untilMs }) => untilMs > now),
      { settings: before, untilMs: now + graceMs },
    ].slice(-maxEarlier);
    const entry = { settings, earlier };
    turn.tx.putValue(keyPrefix + key, encodeEntry(entry));
    this.#entries.set(key, entry);
    return settings;
  }

  /** The channel is over. */
  forget(turn: Turn, key: ChannelKey): void {
    if (!this.#entries.delete(key)) return;
    turn.tx.deleteValue(keyPrefix + key);
  }
}

function encodeEntry({ settings, earlier }: Entry): Uint8Array {
  const writer = new ByteWriter(32 * (1 + earlier.length)).u8(version);
  writeSettings(writer, settings);
  writer.u8(earlier.length);
  for (const one of earlier) {
    writer.u64(BigInt(Math.floor(one.untilMs)));
    writeSettings(writer, one.settings);
  }
  return writer.finish();
}

function writeSettings(writer: ByteWriter, settings: ChannelPolicySettings): void {
  const { htlcMaximumMsat } = settings;
  writer.u32(settings.feeBaseMsat).u32(settings.feeProportionalMillionths).u16(settings.cltvExpiryDelta);
  // Zero is no maximum that anybody can set.
  writer.u64(settings.htlcMinimumMsat).u64(htlcMaximumMsat === capacityShare ? 0n : htlcMaximumMsat);
}

function readSettings(reader: ByteReader): ChannelPolicySettings {
  const feeBaseMsat = reader.u32();
  const feeProportionalMillionths = reader.u32();
  const cltvExpiryDelta = reader.u16();
  const htlcMinimumMsat = reader.u64();
  const maximum = reader.u64();
  const htlcMaximumMsat = maximum === 0n ? capacityShare : maximum;
  return { feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta, htlcMinimumMsat, htlcMaximumMsat };
}

function decodeEntry(bytes: Uint8Array): Entry {
  const reader = new ByteReader(bytes);
  const found = reader.u8();
  if (found !== version) {
    throw new ChannelPolicyError(`a stored policy has version ${found}; this Rivulet reads ${version}`);
  }
  const settings = readSettings(reader);
  const count = reader.u8();
  const earlier = Array.from({ length: count }, () => ({
    untilMs: Number(reader.u64()),
    settings: readSettings(reader),
  }));
  return { settings, earlier };
}
