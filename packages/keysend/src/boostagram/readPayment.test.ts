import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { knownRecords, type RecordName, recordType } from '../records/knownRecords.js';
import { fullBoostagram } from './boostagrams.test.support.js';
import { readPayment } from './readPayment.js';
import { writeBoostagram } from './writeBoostagram.js';

const records = (values: Partial<Record<RecordName, string | Uint8Array>>) =>
  new Map(
    Object.entries(values).map(([name, value]) => [
      recordType(name as RecordName),
      typeof value === 'string' ? utf8ToBytes(value) : (value as Uint8Array),
    ]),
  );

describe('one view over all records', () => {
  test('of a boostagram', () => {
    const payment = readPayment(
      records({ boostagram: writeBoostagram(fullBoostagram), lnpay_account: 'wal_1' }),
    );
    expect(payment).toMatchObject({
      kind: 'boost',
      senderName: 'Zoë 🦊',
      message: fullBoostagram.message,
      otherMessages: [],
      podcast: 'Der Lautsprecher',
      podcastGuid: fullBoostagram.guid,
      feedId: 920666,
      episodeGuid: fullBoostagram.episodeGuid,
      positionSeconds: 33,
      appName: 'Rivulet Player',
      recipientName: 'Podcaster',
      valueMsat: 95_049n,
      boostUuid: fullBoostagram.boostUuid,
      replyAddress: 'zoe@example.com',
      account: { type: 696969n, name: 'lnpay_account', value: 'wal_1' },
      boostagram: fullBoostagram,
      problems: [],
    });
  });

  test('of words alone, with what Whatsat says of their sender', () => {
    const key = secp256k1.publicKey(new Uint8Array(32).fill(3));
    const signature = new Uint8Array(64).fill(5);
    const payment = readPayment(
      records({
        message: 'hello',
        tip_note: 'a tip',
        tip_note_even: 'hello',
        sender_key: key,
        message_signature: signature,
        sender_alias: 'alice',
        sent_at: Uint8Array.of(0x17, 0x97, 0x9c, 0xfe, 0x36, 0x2a, 0, 0),
      }),
    );
    expect(payment).toEqual({
      kind: 'message',
      message: 'hello',
      otherMessages: ['a tip'],
      senderName: 'alice',
      senderKey: bytesToHex(key),
      senderSignature: signature,
      sentAtMs: 1_700_000_000_000,
      problems: [],
    });
  });

  test('of nothing, of unknown records and of broken ones', () => {
    expect(readPayment(new Map())).toEqual({ kind: 'payment', otherMessages: [], problems: [] });
    expect(readPayment(new Map([[70001n, utf8ToBytes('x')]])).kind).toBe('payment');
    expect(readPayment(records({ message: Uint8Array.of(0xff), boostagram: '{' }))).toEqual({
      kind: 'payment',
      otherMessages: [],
      problems: [
        { type: 34349334n, problem: 'utf8_invalid' },
        { type: 7629169n, field: '', problem: 'json_invalid' },
      ],
    });
  });

  test('falls back to plain words where the boostagram is broken or has none', () => {
    expect(readPayment(records({ boostagram: '{', message: 'words' }))).toMatchObject({
      kind: 'message',
      message: 'words',
    });
    expect(
      readPayment(records({ boostagram: '{"action":"boost","message":""}', message: 'words' })),
    ).toMatchObject({
      kind: 'boost',
      message: 'words',
    });
  });

  test('of a message of Sphinx', () => {
    const json =
      '{"feedID":1,"itemID":2,"ts":9,"title":"Ep","text":"hi","amount":3,"pubkey":"x","type":"boost"}';
    expect(
      readPayment(records({ sphinx_chat: Uint8Array.of(...utf8ToBytes(json), 0x30, 0xff) })),
    ).toMatchObject({
      kind: 'boost',
      message: 'hi',
      feedId: 1,
      itemId: 2,
      episode: 'Ep',
      positionSeconds: 9,
      valueMsat: 3000n,
    });
    expect(readPayment(records({ sphinx_chat: '{"ts":9}sig' })).kind).toBe('stream');
  });

  test('of the first payment of a batch', () => {
    const batch = {
      version: 1.0,
      sender: { name: 'Listener', key: '02', app_name: 'App' },
      destinations: { 1: { type: 'podcast', url: 'https://e.com/p.rss', guid: 'EP1', split_name: 'Host' } },
      payments: [
        { dest: '1', value_msat: 1337, ts: 30, action: 'stream' },
        { dest: '1', value_msat: 7777, ts: 60, action: 'boost', message: 'Great' },
      ],
    };
    expect(readPayment(records({ payment_batch: JSON.stringify(batch) }))).toMatchObject({
      kind: 'stream',
      senderName: 'Listener',
      appName: 'App',
      feedUrl: 'https://e.com/p.rss',
      episodeGuid: 'EP1',
      recipientName: 'Host',
      valueMsat: 1337n,
    });
    expect(
      readPayment(records({ payment_batch: '{"payments":7,"destinations":null}' })).problems,
    ).toHaveLength(1);
  });

  test('takes the position from a time, the show from its record, and keys in either case', () => {
    const key = '02'.padEnd(66, 'A');
    const boostagram = JSON.stringify({ time: '01:02:03', sender_key: key });
    expect(readPayment(records({ boostagram, podcast_id: '920666' }))).toMatchObject({
      positionSeconds: 3723,
      feedId: 920666,
      senderKey: key.toLowerCase(),
    });
    expect(readPayment(records({ podcast_id: '917393e3-1b1e' })).podcastGuid).toBe('917393e3-1b1e');
    expect(readPayment(records({ hive_account: Uint8Array.of(0xff) })).account?.value).toBe('ff');
  });

  test('bounds what is long, and never throws', () => {
    expect(readPayment(records({ message: 'x'.repeat(60_000) })).message).toHaveLength(4096);
    const type = fc.constantFrom(...knownRecords.map(({ type }) => type));
    const value = fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.json().map(utf8ToBytes));
    fc.assert(
      fc.property(fc.array(fc.tuple(type, value), { maxLength: 8 }), (entries) => {
        const { kind, problems } = readPayment(new Map(entries));
        expect(['boost', 'stream', 'auto', 'message', 'payment']).toContain(kind);
        expect(Array.isArray(problems)).toBe(true);
      }),
    );
  });
});
