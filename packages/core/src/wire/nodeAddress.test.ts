import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes, RivuletError, utf8ToBytes } from '../bytes/index.js';
import { readExactly, writeAlone } from './codec.js';
import { type NodeAddress, nodeAddresses } from './nodeAddress.js';

const decode = (hex: string) => readExactly(nodeAddresses, hexToBytes(hex));
const encode = (addresses: readonly NodeAddress[]) => bytesToHex(writeAlone(nodeAddresses, addresses));

describe('address descriptors', () => {
  test('each known kind is read and written', () => {
    const name = bytesToHex(utf8ToBytes('node.example'));
    const hex = `017f0000012607${`02${'20'.repeat(16)}0050`}03${'03'.repeat(12)}04${'04'.repeat(35)}2607050c${name}2607`;
    const addresses = decode(hex);
    expect(addresses).toEqual([
      { type: 'ipv4', address: hexToBytes('7f000001'), port: 9735 },
      { type: 'ipv6', address: new Uint8Array(16).fill(0x20), port: 80 },
      { type: 'torV2', data: new Uint8Array(12).fill(3) },
      { type: 'torV3', address: new Uint8Array(35).fill(4), port: 9735 },
      { type: 'dns', hostname: 'node.example', port: 9735 },
    ]);
    expect(encode(addresses)).toBe(hex);
  });

  test('an unknown kind and all behind it is kept', () => {
    const hex = '017f000001260706aabbcc017f0000012607';
    expect(decode(hex)).toEqual([
      { type: 'ipv4', address: hexToBytes('7f000001'), port: 9735 },
      { type: 'unknown', descriptor: 6, data: hexToBytes('aabbcc017f0000012607') },
    ]);
    expect(encode(decode(hex))).toBe(hex);
  });

  test('a host name that is not ASCII is kept as unknown, so that its bytes stay those that were signed', () => {
    const hex = '0502c3a92607017f0000012607';
    expect(decode(hex)).toEqual([
      { type: 'unknown', descriptor: 5, data: hexToBytes('02c3a92607017f0000012607') },
    ]);
    expect(encode(decode(hex))).toBe(hex);
  });

  test.each(['01', '017f00000126', '02aa', '0303', '0404', '05', '05ff61', '05016126'])(
    'a known kind that is cut (%s) is refused',
    (hex) => {
      expect(() => decode(hex)).toThrow(RivuletError);
    },
  );

  test.each<NodeAddress>([
    { type: 'ipv4', address: new Uint8Array(5), port: 1 },
    { type: 'ipv4', address: new Uint8Array(4), port: 65536 },
    { type: 'torV2', data: new Uint8Array(11) },
    { type: 'dns', hostname: 'é.example', port: 1 },
    { type: 'dns', hostname: 'a'.repeat(256), port: 1 },
    { type: 'unknown', descriptor: 256, data: new Uint8Array() },
  ])('%j cannot be written', (address) => {
    expect(() => encode([address])).toThrow(RivuletError);
  });

  test('nothing is written behind an unknown kind', () => {
    const unknown: NodeAddress = { type: 'unknown', descriptor: 9, data: new Uint8Array() };
    expect(() => encode([unknown, { type: 'torV2', data: new Uint8Array(12) }])).toThrow(RivuletError);
  });
});
