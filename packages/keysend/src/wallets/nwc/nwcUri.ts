import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../../keysendError.js';
import { nostrPublicKey } from './nip44.js';

/** What a connection URI of NIP-47 says. The secret signs and decrypts: it is as good as the money behind it. */
export interface NwcConnection {
  /** Of the wallet service, 64 hex digits. */
  readonly walletPubkey: string;
  readonly relays: readonly string[];
  readonly secret: Uint8Array;
  /** The wallet owner's lightning address. */
  readonly lud16?: string;
}

const maxRelays = 8;

/** @throws KeysendError `wallet_invalid`; the message has nothing of the URI in it. */
export function parseNwcUri(uri: string): NwcConnection {
  const match = /^(?:nostr\+walletconnect|nostrwalletconnect):(?:\/\/)?([0-9a-fA-F]{64})\/?\?(.*)$/s.exec(
    uri.trim(),
  );
  if (match === null) throw invalid('it does not begin with nostr+walletconnect:// and a public key');
  const [, pubkey = '', query = ''] = match;
  const params = new URLSearchParams(query);
  const secretHex = params.get('secret') ?? '';
  if (!/^[0-9a-fA-F]{64}$/.test(secretHex)) throw invalid('its secret is not 64 hex digits');
  const secret = hexToBytes(secretHex);
  const walletPubkey = pubkey.toLowerCase();
  try {
    nostrPublicKey(secret);
  } catch {
    throw invalid('its secret is no key');
  }
  const relays = [...new Set(params.getAll('relay').map(relayUrl))];
  if (relays.length === 0) throw invalid('it names no relay');
  if (relays.length > maxRelays) throw invalid(`it names more than ${maxRelays} relays`);
  const lud16 = params.get('lud16');
  return { walletPubkey, relays, secret, ...(lud16 !== null && lud16 !== '' && { lud16 }) };
}

export function formatNwcUri({ walletPubkey, relays, secret, lud16 }: NwcConnection): string {
  const params = [
    ...relays.map((relay) => `relay=${encodeURIComponent(relay)}`),
    `secret=${bytesToHex(secret)}`,
    ...(lud16 === undefined ? [] : [`lud16=${encodeURIComponent(lud16)}`]),
  ];
  return `nostr+walletconnect://${walletPubkey}?${params.join('&')}`;
}

function relayUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalid('one of its relays is no URL');
  }
  if (url.protocol !== 'wss:' && url.protocol !== 'ws:')
    throw invalid('one of its relays is not ws:// or wss://');
  return url.href;
}

function invalid(why: string): KeysendError {
  return new KeysendError(
    'wallet_invalid',
    `the connection of Nostr Wallet Connect cannot be used: ${why}; copy it from the wallet again`,
  );
}
