import { bytesToHex } from '../bytes/index.js';
import type { CommitmentKeys } from '../keys/index.js';
import {
  type ChannelType,
  type HtlcScriptSpec,
  htlcScripts,
  p2wshScript,
  type Transaction,
} from '../tx/index.js';
import type { ClaimedHtlc } from './claim.js';

/** An HTLC of the channel and the output of the peer's commitment that holds it. */
interface MatchedHtlc {
  readonly htlc: ClaimedHtlc;
  /** The HTLC as the commitment's holder, the peer, sees it. */
  readonly spec: HtlcScriptSpec;
  readonly outputIndex: number;
  readonly valueSat: bigint;
}

/** The order in which outputs that look the same are placed (BOLT 3: Transaction Output Ordering). */
function compareHtlcs(a: ClaimedHtlc, b: ClaimedHtlc): number {
  return a.cltvExpiry - b.cltvExpiry || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/**
 * Finds the HTLC outputs of a commitment of the peer by their scripts and values. Each output is matched
 * with one HTLC at most and each HTLC with one output, also where several look the same. Candidates may be
 * all HTLCs that the channel ever had: only those whose amount occurs are looked at closer.
 */
export function matchHtlcOutputs({
  by,
  keys,
  channelType,
  candidates,
}: {
  by: Transaction;
  keys: CommitmentKeys;
  channelType: ChannelType;
  candidates: Iterable<ClaimedHtlc>;
}): MatchedHtlc[] {
  const values = new Set(by.outputs.map(({ valueSat }) => valueSat));
  const possible: ClaimedHtlc[] = [];
  for (const htlc of candidates) if (values.has(htlc.amountMsat / 1000n)) possible.push(htlc);
  possible.sort(compareHtlcs);

  const unmatched = new Map<string, number[]>();
  by.outputs.forEach(({ valueSat, script }, index) => {
    const key = `${valueSat}:${bytesToHex(script)}`;
    const indexes = unmatched.get(key);
    if (indexes === undefined) unmatched.set(key, [index]);
    else indexes.push(index);
  });
  const scriptOf = htlcScripts(keys, channelType);
  const matched: MatchedHtlc[] = [];
  for (const htlc of possible) {
    const valueSat = htlc.amountMsat / 1000n;
    const spec: HtlcScriptSpec = {
      direction: htlc.direction === 'offered' ? 'received' : 'offered',
      paymentHash: htlc.paymentHash,
      cltvExpiry: htlc.cltvExpiry,
    };
    const outputIndex = unmatched.get(`${valueSat}:${bytesToHex(p2wshScript(scriptOf(spec)))}`)?.shift();
    if (outputIndex !== undefined) matched.push({ htlc, spec, outputIndex, valueSat });
  }
  return matched;
}
