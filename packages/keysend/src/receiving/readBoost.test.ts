import { utf8ToBytes } from '@rivulet/core/bytes';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boostOf, paymentWith } from './boosts.test.support.js';
import { readBoost } from './readBoost.js';

const utf8 = utf8ToBytes;

describe('reading a received payment', () => {
  test('takes it for a payment where it has no boostagram', () => {
    expect(boostOf(1)).toMatchObject({
      kind: 'payment',
      sender: {},
      show: {},
      app: {},
      share: {},
      problems: [],
    });
    expect(boostOf(1)).not.toHaveProperty('message');
  });

  test('takes messages, names and accounts from records of their own', () => {
    const boost = boostOf(1, {
      records: [
        [34349334n, utf8('hello')],
        [34349340n, utf8('Bob')],
        [7629175n, utf8('AB-12')],
        [818818n, utf8('hive-user')],
      ],
    });
    expect(boost).toMatchObject({
      message: 'hello',
      sender: { name: 'Bob' },
      show: { guid: 'ab-12' },
      account: { key: '818818', value: 'hive-user' },
    });
    expect(boostOf(1, { records: [[7629175n, utf8('920666')]] }).show).toEqual({ feedId: '920666' });
  });

  test('prefers what the boostagram says, and leaves out what is empty', () => {
    const boost = boostOf(1, {
      boostagram: { message: 'from the app', sender_name: '  ', podcast: '', time: '01:02:03' },
      records: [
        [34349334n, utf8('from the record')],
        [34349340n, utf8('Bob')],
      ],
    });
    expect(boost).toMatchObject({
      kind: 'stream',
      message: 'from the app',
      sender: { name: 'Bob' },
      show: {},
    });
    expect(boost.positionSeconds).toBe(3723);
  });

  test('takes a message of Sphinx for a boost', () => {
    const chat = { feedID: 7, itemID: 9, ts: 61, title: 'Ep', text: 'from a chat', amount: 3, pubkey: 'x' };
    const boost = boostOf(1, {
      // What follows the JSON is a signature.
      records: [[133773310n, Uint8Array.of(...utf8(JSON.stringify(chat)), 0x30, 0xff)]],
    });
    expect(boost).toMatchObject({
      kind: 'boost',
      message: 'from a chat',
      show: { feedId: '7' },
      episode: { name: 'Ep', itemId: '9' },
      positionSeconds: 61,
      share: { valueMsat: 3_000n },
      problems: [],
    });
    expect(boostOf(1, { records: [[133773310n, utf8('{"ts":9}sig')]] }).kind).toBe('stream');
  });

  test('takes the first payment of a batch', () => {
    const batch = {
      version: 1.0,
      sender: { name: 'Listener', identifier: 'u1', app_name: 'App', app_version: '2' },
      destinations: { 1: { podcast: 'Tide', url: 'https://e.com/p.rss', guid: 'EP1', split_name: 'Host' } },
      payments: [
        { dest: '1', value_msat: 7_777, ts: 60, action: 'boost', message: 'Great' },
        { dest: '1', value_msat: 1_337, ts: 30, action: 'stream' },
      ],
    };
    expect(boostOf(1, { records: [[7629173n, utf8(JSON.stringify(batch))]] })).toMatchObject({
      kind: 'boost',
      message: 'Great',
      sender: { name: 'Listener', id: 'u1' },
      show: { name: 'Tide', url: 'https://e.com/p.rss' },
      episode: { guid: 'EP1' },
      app: { name: 'App', version: '2' },
      share: { name: 'Host', valueMsat: 7_777n },
      positionSeconds: 60,
      problems: [],
    });
    expect(boostOf(1, { records: [[7629173n, utf8('{"payments":7}')]] }).problems).toEqual([
      'payment_batch: not_object',
    ]);
  });

  test('names accounts that are bytes by their digits, and the boostagram before other words', () => {
    expect(boostOf(1, { records: [[818818n, Uint8Array.of(0xff)]] }).account).toEqual({
      key: '818818',
      value: 'ff',
    });
    const both = boostOf(1, {
      boostagram: { action: 'stream', message: ' ' },
      records: [
        [133773310n, utf8('{"text":"chat"}')],
        [34349334n, utf8('words')],
      ],
    });
    expect(both).toMatchObject({ kind: 'stream', message: 'words' });
  });

  test.each([
    ['5', undefined],
    ['00:00:09', 9],
    ['2:05', 125],
    ['10:00:00.5', 36_000],
    ['nonsense', undefined],
  ])('reads the place %j in an episode', (time, seconds) => {
    expect(boostOf(1, { boostagram: { time } }).positionSeconds).toBe(seconds);
  });

  test('tells of what it could not read, and keeps it', () => {
    const boost = readBoost(
      {
        ...paymentWith(1),
        records: new Map([
          [7629169n, utf8('{"action":')],
          [34349339n, Uint8Array.of(1)],
          [5482373484n, new Uint8Array(32)],
        ]),
      },
      { source: 'main' },
    );
    expect(boost.problems).toEqual(['boostagram: json_invalid', 'sender_key: length_invalid']);
    expect([...boost.records.keys()]).toEqual([7629169n, 34349339n]);
  });

  test('never throws, and keeps all that came but the preimage', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.json().map(utf8),
      fc.string({ unit: 'binary' }).map(utf8),
    );
    const types = [7629169n, 7629175n, 34349334n, 34349339n, 696969n, 133773310n, 1_802_725_735n, 1n, 70001n];
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...types), bytes)), (records) => {
        const boost = boostOf(1, { records });
        expect(boost.records).toEqual(new Map(records));
        for (const problem of boost.problems) expect(problem).not.toBe('');
      }),
    );
  });
});
