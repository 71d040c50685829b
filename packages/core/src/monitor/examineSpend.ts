import type { Htlc } from '../channel/htlc.js';
import type { ArchivedHtlc } from '../channel/htlcCodec.js';
import type { Transaction } from '../tx/index.js';
import type { Claim } from './claim.js';
import { fulfilledPreimage } from './claimedHtlc.js';
import {
  type FundingSpend,
  type IdentifiedSpend,
  identifySpend,
  type SpendContext,
  spendKind,
} from './fundingSpend.js';
import { delayedClaims, localClaims } from './localClaims.js';
import { remoteClaims, toRemoteClaims } from './remoteClaims.js';
import { revokedClaims, revokedDelayedClaims } from './revokedClaims.js';

/** What a transaction that spent the funding output means for us. */
export interface ExaminedSpend {
  readonly spend: FundingSpend;
  /**
   * Every output of it that is ours, may become ours or tells us a preimage by its spending. Our anchor is
   * not among them: it is worth less than its spending costs.
   */
  readonly claims: readonly Claim[];
  /**
   * HTLCs that we offered, that are not fulfilled and that have no output there: they have failed once the
   * transaction is deep enough. Empty where we cannot know.
   */
  readonly withoutOutput: readonly Htlc[];
  /**
   * HTLCs that we offered, that are not fulfilled and of which we cannot know whether they have an output there:
   * whoever spends any output of the transaction may show their preimages.
   */
  readonly unknown: readonly Htlc[];
  /** Outputs that a transaction spending one of the claims has and that are ours to take, in turn. */
  secondStage(tx: Transaction): Claim[];
}

function claimsOf(
  identified: IdentifiedSpend,
  { channel, by, signer, archived }: SpendContext & { archived: readonly ArchivedHtlc[] },
): Claim[] {
  switch (identified.kind) {
    case 'mutual_close':
      // Paid to the script that we had named in `shutdown`: the wallet's.
      return [];
    case 'unknown':
      return toRemoteClaims({ channel, signer }, by);
    case 'local_commitment':
      return localClaims(
        { channel, signer, keys: identified.keys },
        { by, commitment: identified.commitment },
      );
    case 'remote_commitment':
      return remoteClaims({ channel, signer }, { by, commitment: identified.commitment });
    case 'revoked_commitment': {
      const { keys, perCommitmentSecret, commitmentNumber } = identified;
      const spend = { channel, signer, keys, perCommitmentSecret };
      return revokedClaims(spend, { by, archived, commitmentNumber });
    }
  }
}

/** Whether all HTLC outputs of what was published are known to us. A mutual close has none. */
function isKnown(identified: IdentifiedSpend): boolean {
  switch (identified.kind) {
    case 'mutual_close':
    case 'revoked_commitment':
      return true;
    case 'unknown':
      return false;
    case 'local_commitment':
    case 'remote_commitment':
      return identified.commitment !== undefined;
  }
}

/** HTLCs that we offered, that are not fulfilled and that no claim is of. */
function unclaimed({ channel }: SpendContext, claims: readonly Claim[]): Htlc[] {
  const withOutput = new Set<bigint>();
  for (const { htlc } of claims) if (htlc?.direction === 'offered') withOutput.add(htlc.id);
  return [...channel.htlcs.direction('offered')].filter(
    (htlc) => !withOutput.has(htlc.id) && fulfilledPreimage(htlc) === undefined,
  );
}

/**
 * Finds out what a transaction that spent the funding output is and what is to be claimed from it (BOLT 5).
 * To be repeated when the channel has changed: a settlement that became known turns waiting into claiming.
 * @param archived of the HTLCs that are over those that an old commitment can have had; only a revoked
 * commitment needs them.
 */
export function examineSpend(
  context: SpendContext & { readonly archived: readonly ArchivedHtlc[] },
): ExaminedSpend {
  const { channel, signer } = context;
  const identified = identifySpend(context);
  const claims = claimsOf(identified, context);
  const left = identified.kind === 'mutual_close' ? [] : unclaimed(context, claims);
  return {
    spend: spendKind(identified),
    claims,
    withoutOutput: isKnown(identified) ? left : [],
    unknown: isKnown(identified) ? [] : left,
    secondStage(tx) {
      if (identified.kind === 'local_commitment') {
        return delayedClaims({ channel, signer, keys: identified.keys }, { tx, purpose: 'htlc_delayed' });
      }
      if (identified.kind !== 'revoked_commitment') return [];
      const { keys, perCommitmentSecret } = identified;
      const spend = { channel, signer, keys, perCommitmentSecret };
      return revokedDelayedClaims(spend, { tx, purpose: 'revoked_htlc_delayed' });
    },
  };
}
