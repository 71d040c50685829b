import { expect, test } from 'vitest';
import { formatNodeAddress, NodeAddressError, toNodeAddress, toNodeAddresses } from './nodeAddresses.js';

const onion = `${'a2'.repeat(28)}.onion`;

test.each([
  ['203.0.113.5', '203.0.113.5:9735'],
  ['2001:db8::1', '[2001:db8::1]:9735'],
  ['::', '[::]:9735'],
  ['::1', '[::1]:9735'],
  ['2001:db8:0:0:1:0:0:1', '[2001:db8::1:0:0:1]:9735'],
  ['fe80::', '[fe80::]:9735'],
  ['::ffff:203.0.113.5', '[::ffff:cb00:7105]:9735'],
  ['1:2:3:4:5:6:7:8', '[1:2:3:4:5:6:7:8]:9735'],
  [onion, `${onion}:9735`],
  ['node.example.com', 'node.example.com:9735'],
])('%s is announced and shown as %s', (host, text) => {
  expect(formatNodeAddress(toNodeAddress({ host, port: 9735 }))).toBe(text);
});

test.each(['localhost', 'short.onion', 'bücher.example', '256.1.1.1', ''])('%j is refused', (host) => {
  expect(() => toNodeAddress({ host, port: 9735 })).toThrow(NodeAddressError);
});

test('of several DNS names one has to be chosen, before any is announced', () => {
  const at = (...hosts: string[]) => hosts.map((host) => ({ host, port: 9735 }));
  expect(() => toNodeAddresses(at('a.example', '203.0.113.5', 'b.example'))).toThrow(
    'not a.example and b.example',
  );
  expect(toNodeAddresses(at('a.example', '203.0.113.5', onion))).toHaveLength(3);
});
