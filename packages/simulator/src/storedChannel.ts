import {
  type ArchivedHtlc,
  type Channel,
  decodeArchivedHtlc,
  decodeChannel,
  decodeHtlc,
  encodeArchivedHtlc,
  encodeChannel,
  encodeHtlc,
  type Htlc,
  type StoreAction,
} from '@rivulet/core/channel';

type HtlcName = Pick<Htlc, 'direction' | 'id'>;

function rowKey({ direction, id }: HtlcName): string {
  return `${direction} ${id}`;
}

/** What is durable of a channel: the value that was written last, and the rows of its HTLCs. */
export class StoredChannel {
  #channel: Channel;
  readonly #rows = new Map<string, Htlc>();
  readonly #archived: { readonly name: HtlcName; readonly data: Uint8Array }[] = [];

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Takes what a turn's steps want written, `channel` as it is after them. */
  commit(actions: readonly StoreAction[], channel: Channel): void {
    for (const action of actions) {
      switch (action.type) {
        case 'putChannel':
          this.#channel = channel;
          break;
        case 'putHtlc':
          this.#rows.set(rowKey(action.htlc), action.htlc);
          break;
        case 'archiveHtlc': {
          const { direction, id } = action.htlc;
          this.#rows.delete(rowKey(action.htlc));
          this.#archived.push({ name: { direction, id }, data: encodeArchivedHtlc(action.htlc) });
          break;
        }
        default:
          action satisfies never;
      }
    }
  }

  /** What a restart finds, through the bytes that would be stored. */
  load(): Channel {
    return decodeChannel(encodeChannel(this.#channel), (reference) => {
      const htlc = this.#rows.get(rowKey(reference));
      return htlc === undefined ? undefined : decodeHtlc(encodeHtlc(htlc), reference);
    });
  }

  /** Those that are over: what an old commitment's penalty needs of them. */
  archived(): ArchivedHtlc[] {
    return this.#archived.map(({ name, data }) => decodeArchivedHtlc(data, name));
  }
}
