const SCHEME =
  /(?:^|[^a-z0-9])(?:[a-z][a-z0-9+.-]{1,20}:\/\/|(?:mailto|bitcoin|lightning|nostr|magnet|tel):\S)/;
const BARE = /(?:^|[^a-z0-9])(?:lnurl1|lnbc|npub1|nprofile1)[a-z0-9]{20}/;
/** Those that are no words: a sentence after which a space is missing is no address. */
const ENDINGS =
  'com|net|org|info|biz|io|co|tv|fm|gg|ly|ai|dev|xyz|onion|icu|uk|eu|de|fr|nl|ch|pl|cz|ru|su|ua|cn|jp|kr|br|au|ca|tk|ml|ga|cf|gq';
const HOST = new RegExp(`[\\p{L}\\p{N}]\\.(?:${ENDINGS})(?![\\p{L}\\p{N}])`, 'u');
const OTHER_HOST =
  /(?:^|[^\p{L}\p{N}])www\.[\p{L}\p{N}]|[\p{L}\p{N}]\.[\p{L}]{2,24}\/|@[\p{L}\p{N}-]{1,63}\.\p{L}{2}/u;

/**
 * Whether there is something in a text that leads elsewhere: an address with its scheme, a host name, a mail or
 * Lightning address, a payment request.
 * @param folded by `foldForMatch`.
 */
export function hasLink(folded: string): boolean {
  return SCHEME.test(folded) || HOST.test(folded) || OTHER_HOST.test(folded) || BARE.test(folded);
}
