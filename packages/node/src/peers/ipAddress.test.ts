import { describe, expect, test } from 'vitest';
import { addressGroup, formatAddress, publicNodeAddress } from './ipAddress.js';

describe('the origin of a connection', () => {
  test.each([
    ['203.0.113.9', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('of %s is %s', (address, group) => {
    expect(addressGroup(address)).toBe(group);
  });
});

describe('the address that init tells the peer', () => {
  test('is a public one', () => {
    expect(publicNodeAddress('::ffff:8.8.4.4', 9735)).toEqual({
      type: 'ipv4',
      address: Uint8Array.of(8, 8, 4, 4),
      port: 9735,
    });
    expect(publicNodeAddress('2001:4860:4860::8888', 1)).toEqual({
      type: 'ipv6',
      address: Uint8Array.of(0x20, 1, 0x48, 0x60, 0x48, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x88),
      port: 1,
    });
  });

  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '192.168.1.1',
    '172.31.0.1',
    '169.254.1.1',
    '::1',
    'fe80::1',
    'fd00::1',
  ])('is not %s, which only a local network knows', (address) => {
    expect(publicNodeAddress(address, 9735)).toBeUndefined();
  });
});

test('an IPv6 address gets brackets', () => {
  expect(formatAddress('::1', 9735)).toBe('[::1]:9735');
  expect(formatAddress('localhost', 9735)).toBe('localhost:9735');
});
