import fc from 'fast-check';
import type { JsonObject, JsonValue } from '../records/json.js';
import {
  type Boostagram,
  type BoostagramField,
  boostagramFieldNames,
  boostagramFields,
} from './boostagram.js';
import { isKnownName } from './readBoostagram.js';

/** What a well-behaved app might write. */
export const fullBoostagram: Boostagram = {
  action: 'boost',
  podcast: 'Der Lautsprecher',
  guid: '917393e3-1b1e-5cef-ace4-edaa54e1f810',
  feedId: 920666,
  url: 'https://feeds.example.com/der-lautsprecher.rss',
  episode: 'Folge 127: die Festung der Freiheit',
  episodeGuid: 'https://example.com/episodes/127',
  itemId: 14934154309,
  ts: 33,
  time: '00:00:33',
  senderName: 'Zoë 🦊',
  senderId: 'nSiq7id78JAdH9uY1pIy',
  message: 'Grüße aus Zürich 🇨🇭👨‍👩‍👧‍👦! "Weiter so"',
  appName: 'Rivulet Player',
  appVersion: '1.2.3',
  boostLink: 'https://player.example.com/episode/127#t=33',
  name: 'Podcaster',
  valueMsat: 95_049n,
  valueMsatTotal: 100_000n,
  speed: '1.5',
  boostUuid: '0b7f3d4e-6a3c-4d51-8f0b-3c1f9a4b2e11',
  uuid: '75758d19-c4af-4da2-80ce-a5c84a0f1642',
  replyAddress: 'zoe@example.com',
  replyCustomKey: 696969n,
  replyCustomValue: 'wal_hrDHs0RBEM576',
  extra: { theme: 'dark', list: [1, null, { deep: true }] },
};

const text = fc.string({ unit: 'grapheme', maxLength: 60 });
const number = fc.maxSafeNat();

function anyValue(field: BoostagramField): fc.Arbitrary<string | number | bigint> {
  switch (boostagramFields[field].kind) {
    case 'action':
      return fc.constantFrom('boost', 'stream', 'auto');
    case 'text':
      return field === 'message' ? fc.string({ unit: 'grapheme', maxLength: 900 }) : text;
    case 'number':
      return number;
    case 'msat':
      return number.map(BigInt);
    case 'type':
      return fc.bigInt(0n, (1n << 64n) - 1n);
  }
}

const json = fc
  .jsonValue({ maxDepth: 3, stringUnit: 'grapheme', noUnicodeString: false } as fc.JsonSharedConstraints)
  // JSON has one zero; and a name that readers may take for something else is not written.
  .map(
    (value) =>
      JSON.parse(JSON.stringify(value), (name, inner) =>
        name === '__proto__' ? undefined : inner,
      ) as JsonValue,
  );

const extra: fc.Arbitrary<JsonObject> = fc.dictionary(
  fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .filter((name) => !isKnownName(name) && name !== '__proto__'),
  json,
  { minKeys: 1, maxKeys: 4, noNullPrototype: true },
);

/** Any boostagram that can be written. */
export const anyBoostagram: fc.Arbitrary<Boostagram> = fc
  .record(
    {
      ...(Object.fromEntries(boostagramFieldNames.map((field) => [field, anyValue(field)])) as Record<
        BoostagramField,
        fc.Arbitrary<never>
      >),
      extra,
    },
    { requiredKeys: ['action'], noNullPrototype: true },
  )
  .map((boostagram) => boostagram as Boostagram);
