import { type BackedUpChannel, type BackupAddress, encodeBackedUpChannel } from '@rivulet/core/backup';
import { equalBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';

/** What a backup keeps of a channel, and what it was made of, to see cheaply whether that has changed. */
export interface BackupRecord {
  readonly params: Channel['params'];
  readonly confirmed: string;
  readonly localScript: Uint8Array | undefined;
  readonly entry: BackedUpChannel;
  readonly bytes: Uint8Array;
}

function placeOf({ readiness }: Channel): string {
  const at = readiness.fundingConfirmed;
  return at === undefined ? '' : `${at.height}/${at.index}`;
}

/** Whether a channel is what a record was made of: payments alone change nothing of that. */
export function isSameChannel(record: BackupRecord, channel: Channel): boolean {
  return (
    record.params === channel.params &&
    record.localScript === channel.shutdown.localScript &&
    record.confirmed === placeOf(channel)
  );
}

export function recordOf(
  channel: Channel,
  {
    closingScript,
    addresses,
  }: { closingScript: Uint8Array | undefined; addresses: readonly BackupAddress[] },
): BackupRecord {
  const { params, readiness, shutdown } = channel;
  const { channelId: _, local, ...shared } = params;
  const { fundingConfirmed } = readiness;
  const script = shutdown.localScript ?? closingScript;
  const {
    fundingPubkey,
    revocationBasepoint,
    paymentBasepoint,
    delayedPaymentBasepoint,
    htlcBasepoint,
    ...own
  } = local;
  const entry: BackedUpChannel = {
    ...shared,
    local: own,
    addresses: addresses.slice(0, 4),
    ...(fundingConfirmed === undefined ? {} : { fundingConfirmed }),
    ...(script === undefined ? {} : { closingScript: script }),
  };
  return {
    params,
    confirmed: placeOf(channel),
    localScript: shutdown.localScript,
    entry,
    bytes: encodeBackedUpChannel(entry),
  };
}

/** Whether two lists of entries say the same, in whatever order. */
export function sameEntries(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  if (a.length !== b.length) return false;
  const sorted = (list: readonly Uint8Array[]) => [...list].sort((x, y) => Buffer.compare(x, y));
  const others = sorted(b);
  return sorted(a).every((bytes, i) => equalBytes(bytes, others[i] as Uint8Array));
}
