import { BlockList, isIPv4, isIPv6 } from 'node:net';
import type { NodeAddress } from '@rivulet/core/wire';

/** The eight groups of an IPv6 address, without its zone. */
function ipv6Groups(address: string): number[] {
  let text = address.split('%')[0] as string;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted !== null) {
    const [a, b, c, d] = dotted.slice(2).map(Number) as [number, number, number, number];
    text = `${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head = '', tail] = text.split('::');
  const groups = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** An IPv4 address that was mapped into IPv6 as what it is; all else unchanged. */
function unmapped(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/**
 * What counts as one origin for limits: an IPv4 address, or the /64 of an IPv6 address, which is what one
 * customer gets.
 */
export function addressGroup(address: string): string {
  const plain = unmapped(address);
  if (!isIPv6(plain)) return plain;
  return `${ipv6Groups(plain)
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

const privateRanges = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const) {
  privateRanges.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  privateRanges.addSubnet(network, bits, 'ipv6');
}

/** The descriptor (BOLT 7) of a public IP address; `undefined` for one that only a local network knows. */
export function publicNodeAddress(address: string, port: number): NodeAddress | undefined {
  const plain = unmapped(address);
  if (isIPv4(plain)) {
    if (privateRanges.check(plain, 'ipv4')) return undefined;
    return { type: 'ipv4', address: Uint8Array.from(plain.split('.').map(Number)), port };
  }
  if (!isIPv6(plain) || privateRanges.check(plain, 'ipv6')) return undefined;
  const bytes = ipv6Groups(plain).flatMap((group) => [group >> 8, group & 0xff]);
  return { type: 'ipv6', address: Uint8Array.from(bytes), port };
}

/** `host:port` as people write it, with brackets around an IPv6 address. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
