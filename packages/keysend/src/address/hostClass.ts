/** Where a host is: on the internet, on this machine, in Tor, or anywhere that strangers have no business. */
export type HostClass = 'public' | 'loopback' | 'onion' | 'private';

/** Names that lead nowhere on the internet (RFC 6761, 6762, 8375, and what home and office networks use). */
const privateSuffixes = ['local', 'internal', 'intranet', 'lan', 'home', 'corp', 'private', 'home.arpa'];

/** @param hostname as `URL` gives it: lower case, addresses in their one form, IPv6 in brackets. */
export function classifyHost(hostname: string): HostClass {
  if (hostname.startsWith('[')) return classifyIp(hostname.slice(1, -1));
  const host = hostname.replace(/\.$/, '');
  if (/^[\d.]+$/.test(host)) return classifyIp(host);
  if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback';
  if (host.endsWith('.onion')) return 'onion';
  const isPrivate =
    !host.includes('.') || privateSuffixes.some((suffix) => host === suffix || host.endsWith(`.${suffix}`));
  return isPrivate ? 'private' : 'public';
}

/**
 * Where an IP address is. What is neither loopback nor meant to be routed on the internet is `private`: networks of
 * their own, link-local, multicast, documentation, and whatever cannot be read.
 * @param ip IPv4 in dotted decimals, or IPv6 in any form, without brackets.
 */
export function classifyIp(ip: string): HostClass {
  const v4 = readIpv4(ip);
  if (v4 !== undefined) return classifyIpv4(v4);
  const groups = readIpv6(ip.split('%')[0] ?? '');
  return groups === undefined ? 'private' : classifyIpv6(groups);
}

function readIpv4(text: string): number | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

/** First address and prefix length (the registry of special-purpose addresses of IANA). */
const reservedIpv4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

function classifyIpv4(address: number): HostClass {
  if (Math.floor(address / 2 ** 24) === 127) return 'loopback';
  const isReserved = reservedIpv4.some(([first, length]) => {
    const size = 2 ** (32 - length);
    return Math.floor(address / size) === Math.floor((readIpv4(first) as number) / size);
  });
  return isReserved ? 'private' : 'public';
}

/** Eight groups of 16 bits. */
function readIpv6(text: string): readonly number[] | undefined {
  // The last 32 bits may be written as IPv4.
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const v4 = readIpv4(dotted[2] as string);
    if (v4 === undefined) return undefined;
    const [high, low] = [Math.floor(v4 / 0x1_0000), v4 % 0x1_0000];
    return readIpv6(`${dotted[1]}${high.toString(16)}:${low.toString(16)}`);
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.map((group) => Number.parseInt(group, 16));
}

function classifyIpv6(groups: readonly number[]): HostClass {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  const lastV4 = g * 0x1_0000 + h;
  const startsWithZeros = [a, b, c, d].every((group) => group === 0);
  if (startsWithZeros && e === 0 && f === 0 && g === 0 && h === 1) return 'loopback';
  // IPv4 in disguise: mapped, translated (RFC 6052, 8215), 6to4; what it leads to counts.
  if (startsWithZeros && e === 0 && f === 0xffff) return classifyIpv4(lastV4);
  if (startsWithZeros && e === 0xffff && f === 0) return classifyIpv4(lastV4);
  if (a === 0x64 && b === 0xff9b && [c, d, e, f].every((group) => group === 0)) return classifyIpv4(lastV4);
  if (a === 0x2002) return classifyIpv4(b * 0x1_0000 + c);
  // 2000::/3 alone is given out; of it, Teredo and others (2001::/23) and documentation are not.
  const isGlobal = a >= 0x2000 && a <= 0x3fff;
  const isSpecial =
    (a === 0x2001 && b < 0x200) || (a === 0x2001 && b === 0xdb8) || (a === 0x3fff && b < 0x1000);
  return isGlobal && !isSpecial ? 'public' : 'private';
}
