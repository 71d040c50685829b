import { isIPv4, isIPv6 } from 'node:net';
import { RivuletError } from '@rivulet/core/bytes';
import type { UsableAddress } from '@rivulet/core/gossip';
import { base32 } from '@scure/base';

/** An address that cannot be announced. */
export class NodeAddressError extends RivuletError<'address_invalid'> {
  constructor(message: string) {
    super('address_invalid', message);
  }
}

/**
 * An address as gossip has it (BOLT 7, `node_announcement`): IPv4, IPv6, a Tor v3 onion service or a DNS name.
 * @throws NodeAddressError
 */
export function toNodeAddress({ host, port }: { host: string; port: number }): UsableAddress {
  if (isIPv4(host)) return { type: 'ipv4', address: Uint8Array.from(host.split('.').map(Number)), port };
  if (isIPv6(host)) return { type: 'ipv6', address: ipv6Bytes(host), port };
  if (host.toLowerCase().endsWith('.onion')) return { type: 'torV3', address: onionBytes(host), port };
  // BOLT 7: a hostname is ASCII; others are written in Punycode. No domain ends in digits: that is a mistyped IP address.
  if (!/^[\x21-\x7e]{1,255}$/.test(host) || !host.includes('.') || /\.[0-9]+$/.test(host)) {
    throw new NodeAddressError(
      `${host} is no address that others can reach: give an IP address or a DNS name`,
    );
  }
  return { type: 'dns', hostname: host, port };
}

/**
 * All that a node is to announce.
 * @throws NodeAddressError
 */
export function toNodeAddresses(given: readonly { host: string; port: number }[]): UsableAddress[] {
  const addresses = given.map(toNodeAddress);
  const names = new Set(addresses.flatMap((address) => (address.type === 'dns' ? [address.hostname] : [])));
  // BOLT 7: node_announcement, origin node: no more than one DNS hostname
  if (names.size > 1) {
    throw new NodeAddressError(
      `only one DNS name can be announced, not ${[...names].join(' and ')}: choose one, or give IP addresses`,
    );
  }
  return addresses;
}

function onionBytes(host: string): Uint8Array {
  const label = host.slice(0, -'.onion'.length).toUpperCase();
  if (!/^[A-Z2-7]{56}$/.test(label)) {
    throw new NodeAddressError(`${host} is no Tor v3 address: it has 56 letters and digits before .onion`);
  }
  return base32.decode(label);
}

function ipv6Bytes(host: string): Uint8Array {
  const bytes = new Uint8Array(16);
  // A trailing IPv4 part stands for the last two groups.
  const dotted = host.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [(Number(a) << 8) | Number(b), (Number(c) << 8) | Number(d)].map((group) => group.toString(16)).join(':'),
  );
  const [head = '', tail] = dotted.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const all =
    tail === undefined ? first : [...first, ...Array(8 - first.length - last.length).fill(0), ...last];
  all.forEach((group: number, i) => {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 0xff;
  });
  return bytes;
}

/** As people write it: `203.0.113.5:9735`, `[2001:db8::1]:9735`, `….onion:9735`, `node.example.com:9735`. */
export function formatNodeAddress(address: UsableAddress): string {
  switch (address.type) {
    case 'ipv4':
      return `${address.address.join('.')}:${address.port}`;
    case 'ipv6':
      return `[${ipv6Text(address.address)}]:${address.port}`;
    case 'torV3':
      return `${base32.encode(address.address).toLowerCase()}.onion:${address.port}`;
    case 'dns':
      return `${address.hostname}:${address.port}`;
  }
}

/** RFC 5952: the longest run of zero groups as `::`. */
function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number)).toString(16),
  );
  const runs = groups.join(':').match(/(?:^|:)0(?::0)+(?=:|$)/g) ?? [];
  const longest = runs.sort((a, b) => b.length - a.length)[0];
  if (longest === undefined) return groups.join(':');
  const text = groups.join(':').replace(longest, '::');
  return text.replace(':::', '::');
}
