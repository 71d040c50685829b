import type { ChannelType } from '@rivulet/core/tx';

/** Which transaction ends the channel, seen from us. */
export const closes = [
  /** Our latest commitment. */
  'local',
  /** The peer's latest commitment. */
  'remote',
  /** The peer's commitment before the newest that we signed, whose revocation we await. */
  'remote_previous',
  /** A commitment that the peer had revoked: all of it is ours. */
  'revoked',
  /** The same while we are away, until the peer's second-stage transactions are in blocks. */
  'revoked_advanced',
  /** A close together, by closing_signed. */
  'mutual_legacy',
  /** A close together, by option_simple_close. */
  'mutual_simple',
  /** Our data was lost: the peer's commitment is newer than all that we know. */
  'data_loss',
] as const;
type Close = (typeof closes)[number];

export const commitments = ['static_remotekey', 'anchors'] as const satisfies readonly ChannelType[];

/** Which HTLCs stand when the channel ends, seen from us. */
export const htlcKinds = [
  'none',
  'offered',
  'received',
  'both',
  /** Two of the same hash and amount with different expiries that we offer (threat 16). */
  'twins',
  'twins_received',
  /** One that we offer and one that we receive, too small for an output. */
  'dust',
  /** One that we have offered and that only the peer's newest commitment has. */
  'half_offered',
  /** One that the peer has offered and that only our newest commitment has. */
  'half_received',
] as const;
type HtlcKind = (typeof htlcKinds)[number];

/** Whose payments they are. */
export const paths = [
  /** The HTLCs' own two ends. */
  'ends',
  /** We pass them on: offered ones came from, received ones go to, another channel of ours. */
  'middle',
] as const;
type Path = (typeof paths)[number];

/** When who receives an HTLC has its preimage. */
export const preimages = [
  'before_close',
  /** When the closing transaction is in a block: from the application, or from the other channel. */
  'after_close',
  /** From the other channel, which is closed as well, by the transaction that takes its HTLC. */
  'from_chain',
  'never',
] as const;
type PreimageTime = (typeof preimages)[number];

/** Who takes an HTLC's output whose preimage is known. */
export const resolutions = [
  'in_time',
  /** After its expiry, with the preimage, while who offered it is away. */
  'late_receiver',
  /** After its expiry, while who received it is away. */
  'late_offerer',
  /** After its expiry, both at once. */
  'race',
] as const;
type Resolution = (typeof resolutions)[number];

/** What is undone of the chain. `again`: mined again. The number is the depth. */
export const reorgs = [
  'none',
  'close_again_1',
  'close_again_5',
  'close_again_6',
  'close_again_30',
  'close_again_100',
  /** Then the commitment of the other side is mined instead. */
  'close_other_1',
  'close_other_5',
  'close_other_6',
  /** The first claim's block; the mempool has forgotten the claims. */
  'claim_1',
  'claim_5',
  'claim_6',
] as const;
type Reorg = (typeof reorgs)[number];

/** How many blocks a situation undoes, 0 for none. */
export function reorgDepth({ reorg }: Pick<Situation, 'reorg'>): number {
  return reorg === 'none' ? 0 : Number(reorg.split('_').at(-1));
}

/**
 * Whether both sides may go for an HTLC at once, after its expiry: they came back together, or what the first
 * one had done was undone while both were there.
 */
export function isRace({ resolution, reorg }: Pick<Situation, 'resolution' | 'reorg'>): boolean {
  if (resolution === 'race') return true;
  return reorg.startsWith('claim') ? resolution !== 'in_time' : reorgDepth({ reorg }) >= longReorg;
}

/** So many blocks, and as many new ones, are more than an HTLC has until its expiry. */
const longReorg = 30;

/** What happens to all nodes between the stages. */
export const restarts = ['none', 'stop', 'kill'] as const;
type Restart = (typeof restarts)[number];

export interface Situation {
  readonly close: Close;
  readonly commitment: ChannelType;
  readonly htlcs: HtlcKind;
  readonly path: Path;
  readonly preimage: PreimageTime;
  readonly resolution: Resolution;
  readonly reorg: Reorg;
  readonly restart: Restart;
}

export const dimensions = {
  close: closes,
  commitment: commitments,
  htlcs: htlcKinds,
  path: paths,
  preimage: preimages,
  resolution: resolutions,
  reorg: reorgs,
  restart: restarts,
} as const;

/** A situation's name: its values in the order of the table. */
export function nameOf(situation: Situation): string {
  return (Object.keys(dimensions) as (keyof Situation)[]).map((key) => situation[key]).join(' ');
}
