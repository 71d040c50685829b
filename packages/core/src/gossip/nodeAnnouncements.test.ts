import { describe, expect, test } from 'vitest';
import type { NodeAddress } from '../wire/index.js';
import { displayAlias } from './alias.js';
import { GossipError } from './gossipError.js';
import {
  checkNodeAnnouncement,
  isNewerNodeAnnouncement,
  isNodeForwardable,
  type UsableAddress,
  usableAddresses,
  verifyNodeAnnouncement,
} from './nodeAnnouncements.js';
import { node2, nowSeconds, overTheWire, sampleNodeAnnouncement } from './samples.test.support.js';

const ipv4 = (port = 9735): UsableAddress => ({ type: 'ipv4', address: Uint8Array.of(1, 2, 3, 4), port });
const tor: UsableAddress = { type: 'torV3', address: new Uint8Array(35).fill(9), port: 9735 };
const dns = (hostname: string, port = 9735): UsableAddress => ({ type: 'dns', hostname, port });

describe('node_announcement', () => {
  test('of our own is valid, with its alias and its addresses in order', () => {
    const addresses = [dns('example.org'), tor, ipv4(), ipv4()];
    const announcement = overTheWire(sampleNodeAnnouncement({ addresses, alias: 'ü'.repeat(20) }));
    expect(verifyNodeAnnouncement(announcement)).toEqual({ valid: true });
    expect(announcement.addresses.map(({ type }) => type)).toEqual(['ipv4', 'torV3', 'dns']);
    expect(displayAlias(announcement.alias)).toBe('ü'.repeat(16));
  });

  test('that another key signed closes the connection', () => {
    const announcement = { ...sampleNodeAnnouncement(), nodeId: node2.nodeId };
    const expected = { valid: false, fault: 'signature', punish: 'warn_and_close' };
    expect(verifyNodeAnnouncement(announcement)).toEqual(expected);
    const nodeId = new Uint8Array(33).fill(0xff);
    nodeId[0] = 3;
    expect(verifyNodeAnnouncement({ ...announcement, nodeId })).toEqual({
      ...expected,
      fault: 'key_invalid',
    });
  });

  test('threat 22: with timestamp 0, or one from the far future, is ignored', () => {
    const check = (timestamp: number) =>
      checkNodeAnnouncement({ ...sampleNodeAnnouncement(), timestamp }, { nowSeconds });
    expect(check(0)).toEqual({ valid: false, fault: 'timestamp_zero', punish: 'ignore' });
    expect(check(0xffff_ffff)).toEqual({ valid: false, fault: 'timestamp_future', punish: 'ignore' });
    expect(check(nowSeconds)).toEqual({ valid: true });
    // A node need not speak again for two weeks.
    expect(check(1)).toEqual({ valid: true });
  });

  test('replaces only an older one', () => {
    expect(isNewerNodeAnnouncement(undefined, { timestamp: 1 })).toBe(true);
    expect(isNewerNodeAnnouncement({ timestamp: 1 }, { timestamp: 2 })).toBe(true);
    expect(isNewerNodeAnnouncement({ timestamp: 2 }, { timestamp: 2 })).toBe(false);
  });

  test('has no usable address without a port, of Tor v2 or of a kind that is not known', () => {
    const addresses: NodeAddress[] = [
      ipv4(0),
      ipv4(1),
      { type: 'torV2', data: new Uint8Array(12) },
      dns('a.example', 0),
      dns('b.example'),
      dns('c.example'),
      { type: 'unknown', descriptor: 77, data: new Uint8Array(3) },
    ];
    const announcement = { ...sampleNodeAnnouncement(), addresses };
    expect(usableAddresses(announcement)).toEqual([ipv4(1), dns('b.example')]);
    expect(isNodeForwardable(announcement)).toBe(false);
    expect(isNodeForwardable(sampleNodeAnnouncement({ addresses: [dns('a.example')] }))).toBe(true);
  });

  test('is not made with port 0, two hostnames or timestamp 0', () => {
    const make = (change: Parameters<typeof sampleNodeAnnouncement>[0]) => () =>
      sampleNodeAnnouncement(change);
    expect(make({ addresses: [ipv4(0)] })).toThrow(GossipError);
    expect(make({ addresses: [dns('a.example'), dns('b.example')] })).toThrow(GossipError);
    expect(make({ timestamp: 0 })).toThrow(GossipError);
  });
});
