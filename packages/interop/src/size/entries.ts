export interface SizedEntry {
  readonly name: string;
  readonly source: string;
  /** Gzipped; more than that is a defect. */
  readonly mostBytes?: number;
}

const all = (entry: string): string => `export * from '@rivulet/keysend${entry}';`;
const some = (names: string, entry = ''): string => `export { ${names} } from '@rivulet/keysend${entry}';`;
const named = (entry: string): string => `export * as more from '@rivulet/keysend${entry}';`;

/** Everything that apps load without XML and Nostr Wallet Connect. */
export const mainEntry: SizedEntry = { name: 'main', source: all(''), mostBytes: 60_000 };

/** What a browser app may load of the toolkit, whole entries and single topics. */
export const sizedEntries: readonly SizedEntry[] = [
  mainEntry,
  { name: 'main + feed (XML)', source: all('') + named('/feed') },
  { name: 'main + nwc', source: all('') + named('/nwc') },
  { name: 'main + policy', source: all('') + named('/policy') },
  { name: 'main + proof', source: all('') + named('/proof') },
  { name: 'main + receiving', source: all('') + named('/receiving') },
  { name: 'main + automation', source: all('') + named('/automation') },
  { name: 'main + compliance', source: all('') + named('/compliance') },
  {
    name: 'boosts over LND',
    source: some('LegLedger, boost, lndWallet, createResolver, boundedFetcher, webStore'),
  },
  { name: 'boosts over LND, from a feed', source: some('lndWallet, webStore') + some('boostFeed', '/feed') },
  { name: 'one keysend over LND', source: some('lndWallet') },
  { name: 'one keysend over NWC', source: some('nwcWallet', '/nwc') },
  { name: 'the ledger', source: some('LegLedger') },
  { name: 'streams', source: some('StreamSession, LegLedger') },
  { name: 'splits', source: some('splitAmount, planAt') },
  { name: 'boostagrams', source: some('readBoostagram, writeBoostagram') },
  { name: 'addresses', source: some('resolveKeysendAddress, boundedFetcher') },
];
