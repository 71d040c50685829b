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
