import { type Channel, decodeChannel, decodeHtlc, type HtlcReference } from '@rivulet/core/channel';
import type { NodeStorage } from '@rivulet/storage';

/** Reads all channels back, each with the rows of its pending HTLCs. */
export function loadChannels(storage: NodeStorage): Channel[] {
  return storage.loadChannels().map(({ channelId, state }) => {
    const rows = new Map(
      storage.loadHtlcs(channelId).map(({ direction, id, data }) => [`${direction} ${id}`, data]),
    );
    return decodeChannel(state, (reference: HtlcReference) => {
      const row = rows.get(`${reference.direction} ${reference.id}`);
      return row === undefined ? undefined : decodeHtlc(row, reference);
    });
  });
}
