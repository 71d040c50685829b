import {
  closes,
  commitments,
  htlcKinds,
  paths,
  preimages,
  reorgs,
  resolutions,
  restarts,
  type Situation,
} from './situation.js';

type Shape = Omit<Situation, 'commitment' | 'restart'>;

const withOutputs = new Set(['offered', 'received', 'both', 'twins', 'twins_received']);

interface Exclusion {
  /** Why there is no such situation, or none that another does not have. */
  readonly why: string;
  excludes(shape: Shape): boolean;
}

const isMutual = ({ close }: Shape) => close === 'mutual_legacy' || close === 'mutual_simple';
const isRevoked = ({ close }: Shape) => close === 'revoked' || close === 'revoked_advanced';
const isHalf = ({ htlcs }: Shape) => htlcs === 'half_offered' || htlcs === 'half_received';

const exclusions: readonly Exclusion[] = [
  {
    why: 'without an HTLC nobody needs a preimage, and nobody passes anything on',
    excludes: ({ htlcs, preimage, path }) => htlcs === 'none' && (preimage !== 'never' || path !== 'ends'),
  },
  {
    why: 'an HTLC that is not irrevocably committed is given to nobody who could fulfil it (BOLT 2)',
    excludes: (shape) => isHalf(shape) && shape.preimage !== 'never',
  },
  {
    why: 'only an output that can be taken with a preimage can be taken late',
    excludes: ({ htlcs, preimage, resolution }) =>
      resolution !== 'in_time' && (!withOutputs.has(htlcs) || preimage === 'never'),
  },
  {
    why: 'a preimage comes from the chain only to who has passed the HTLC on, with both channels closed',
    excludes: ({ preimage, path, htlcs }) =>
      preimage === 'from_chain' && !(path === 'middle' && htlcs === 'both'),
  },
  {
    why: 'both channels of a middle are closed so that the preimage comes from the chain, or never',
    excludes: ({ preimage, path, htlcs }) =>
      path === 'middle' && htlcs === 'both' && preimage !== 'from_chain' && preimage !== 'never',
  },
  {
    why: 'what a middle passes on is one HTLC on each side; the other kinds are the same claims as at the ends',
    excludes: ({ path, htlcs }) =>
      path === 'middle' && htlcs !== 'offered' && htlcs !== 'received' && htlcs !== 'both',
  },
  {
    why: 'a middle’s closes differ from an end’s only in what the other channel has to hear: two closes show it',
    excludes: ({ path, close }) => path === 'middle' && close !== 'local' && close !== 'remote',
  },
  {
    why: 'a middle that is away past an expiry loses, as BOLT 5 says, what no node can win back',
    excludes: ({ path, resolution }) => path === 'middle' && resolution !== 'in_time',
  },
  {
    why: 'a close together waits until no HTLC is pending; one is settled or given back while it waits',
    excludes: (shape) =>
      isMutual(shape) &&
      (!(['none', 'offered', 'received', 'both'] as const).some((kind) => kind === shape.htlcs) ||
        shape.preimage === 'after_close' ||
        shape.resolution !== 'in_time'),
  },
  {
    why: 'a close together is not replaced by a commitment: nobody publishes one any more; and it has no claims',
    excludes: (shape) =>
      isMutual(shape) && (shape.reorg.startsWith('close_other') || shape.reorg.startsWith('claim')),
  },
  {
    why: 'the newest commitment that we signed has the HTLC that parts it from the previous one already',
    excludes: (shape) => shape.close === 'remote_previous' && isHalf(shape),
  },
  {
    why: 'of a revoked commitment all is ours: nobody waits for a preimage that comes after it or for an expiry',
    excludes: (shape) =>
      isRevoked(shape) &&
      (isHalf(shape) || shape.preimage === 'after_close' || shape.resolution !== 'in_time'),
  },
  {
    why: 'the second stage of a revoked commitment needs an HTLC that the cheater can take by then',
    excludes: (shape) => shape.close === 'revoked_advanced' && !withOutputs.has(shape.htlcs),
  },
  {
    why: 'what we offered has a second stage of the cheater’s only where he knows the preimage',
    excludes: ({ close, htlcs, preimage }) =>
      close === 'revoked_advanced' && preimage === 'never' && (htlcs === 'offered' || htlcs === 'twins'),
  },
  {
    why: 'the cheater’s blocks are undone while nobody is away: else the undone branch is one that we never saw',
    excludes: (shape) => shape.close === 'revoked_advanced' && shape.reorg.startsWith('close'),
  },
  {
    why: 'who has lost his data does not know the HTLCs of the newest commitments: he neither takes nor gives any',
    excludes: (shape) =>
      shape.close === 'data_loss' &&
      (isHalf(shape) || shape.resolution !== 'in_time' || shape.preimage === 'after_close'),
  },
  {
    why: 'a preimage that is lost with the data is none',
    excludes: ({ close, htlcs, preimage }) =>
      close === 'data_loss' && preimage !== 'never' && (htlcs === 'received' || htlcs === 'twins_received'),
  },
  {
    why: 'with one HTLC in each direction who is late for the one is first for the other',
    excludes: ({ htlcs, resolution }) => htlcs === 'both' && resolution.startsWith('late'),
  },
  {
    why: 'who has lost his data has nothing to publish instead of the peer’s commitment',
    excludes: ({ close, reorg }) => close === 'data_loss' && reorg.startsWith('close_other'),
  },
  {
    why: 'while both are away past an expiry the undone branch is one that nobody saw',
    excludes: ({ resolution, reorg }) => resolution !== 'in_time' && reorg.startsWith('close'),
  },
  {
    why: 'for a middle one depth of each kind shows what the other channel hears of it',
    excludes: ({ path, reorg }) =>
      path === 'middle' && !['none', 'close_again_5', 'claim_1'].some((one) => one === reorg),
  },
];

/** Why a situation is not in the table; `undefined` for one that is. */
export function exclusionOf(shape: Shape): string | undefined {
  return exclusions.find((exclusion) => exclusion.excludes(shape))?.why;
}

/** The whole cross product of the dimensions without what cannot be. */
export function allSituations(): Situation[] {
  const found: Situation[] = [];
  for (const close of closes)
    for (const htlcs of htlcKinds)
      for (const path of paths)
        for (const preimage of preimages)
          for (const resolution of resolutions)
            for (const reorg of reorgs) {
              const shape = { close, htlcs, path, preimage, resolution, reorg };
              if (exclusionOf(shape) !== undefined) continue;
              for (const commitment of commitments)
                for (const restart of restarts) found.push({ ...shape, commitment, restart });
            }
  return found;
}
