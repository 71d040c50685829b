import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PayoutFileError, readPayoutFile } from './payoutFile.js';

const alice = `02${'aa'.repeat(32)}`;
const bob = `03${'bb'.repeat(32)}`;

function problemsOf(text: string, format: 'csv' | 'json' = 'csv'): string[] {
  try {
    readPayoutFile(text, format);
  } catch (error) {
    if (!(error instanceof PayoutFileError)) throw error;
    expect(error.code).toBe('file_invalid');
    return error.problems.map(({ line, problem }) => `${line}: ${problem}`);
  }
  throw new Error('it was taken');
}

describe('a payout file in CSV', () => {
  test('is read with all its columns', () => {
    const file = readPayoutFile(
      `key,recipient,amount,name,message,custom_key,custom_value,note\n` +
        `july-1,${alice.toUpperCase()},2500,Alice,"Thanks, ""really""",696969,acct9,invoice 12\n` +
        `july-2,Bob@Example.com,1.5,,,,,\n`,
      'csv',
    );
    expect(file).toEqual({
      lines: [
        {
          line: 2,
          key: 'july-1',
          recipient: {
            name: 'Alice',
            type: 'node',
            address: alice,
            customKey: '696969',
            customValue: 'acct9',
          },
          amountMsat: 2_500_000n,
          message: 'Thanks, "really"',
          note: 'invoice 12',
        },
        {
          line: 3,
          key: 'july-2',
          recipient: { type: 'lnaddress', address: 'bob@example.com' },
          amountMsat: 1_500n,
        },
      ],
      duplicates: [],
      totalMsat: 2_501_500n,
    });
  });

  test.each([
    ['a byte order mark and CRLF', `\ufeffkey,recipient,amount\r\na,${alice},1\r\n\r\nb,${bob},2\r\n`],
    ['semicolons', `key;recipient;amount\na;${alice};1\n\nb;${bob};2`],
    ['tabs', `key\trecipient\tamount\na\t${alice}\t1\n\nb\t${bob}\t2`],
    ['spaces and other names', ` Key , Recipient , Amount \na , ${alice} , 1 \n\nb, ${bob}, 2`],
    ['missing last fields', `key,recipient,amount,note\na,${alice},1\n\nb,${bob},2,`],
    ['millisatoshi', `key,recipient,amountMsat\na,${alice},1000\n\nb,${bob},2000`],
  ])('is read with %s', (_, text) => {
    const { lines } = readPayoutFile(text, 'csv');
    expect(lines.map(({ line, key, amountMsat }) => [line, key, amountMsat])).toEqual([
      [2, 'a', 1_000n],
      [4, 'b', 2_000n],
    ]);
  });

  test('counts lines rightly behind a field that has several', () => {
    const text = `key,recipient,amount,message\r\na,${alice},1,"one\r\ntwo"\r\nb,${bob},x,\r\n`;
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^4: amount "x" is no number/)]);
  });

  test('tells of every problem at once, with its line', () => {
    const text = [
      'key,recipient,amount,message',
      `a,${alice},1`,
      `,${alice},1`,
      'c,nobody,0',
      `d,${alice},1.2345`,
      `e,${alice},1,000`,
      `f,${alice},-5`,
      `g,${alice},99999999999999999`,
      `h,bad@@x,1`,
      `i,${alice}`,
      `=1+1,${alice},1`,
      `k,${alice},1,${'x'.repeat(900)}`,
      `l"l,${alice},1`,
      `a,${alice},2`,
      `n,${alice},"1`,
      'o',
    ].join('\n');
    expect(problemsOf(text)).toEqual([
      '3: has no key: give every line one, or let them be made from the content',
      '4: the amount is zero',
      expect.stringMatching(/^4: recipient "nobody" is neither/),
      '5: amount 1.2345 is finer than a millisatoshi: give at most three decimals',
      expect.stringMatching(/^7: amount "-5" is no number of satoshi/),
      expect.stringMatching(/^8: amount "99999999999999999" is no number/),
      expect.stringMatching(/^9: recipient "bad@@x" is no address/),
      '10: has no amount',
      expect.stringMatching(/^11: key "=1\+1" is no key/),
      '12: message is 900 bytes long; at most 800 go',
      expect.stringMatching(/^13: is no CSV: quotes go around/),
      '14: has the key "a" of line 2, and pays something else',
      '15: is no CSV: a quote is opened here or below, and never closed',
    ]);
  });

  test('is refused where a field too many makes it unclear what is meant', () => {
    expect(problemsOf(`key,recipient,amount\na,${alice},1,000`)).toEqual([
      '2: has 4 fields, and the first line names 3',
    ]);
  });

  test('is refused with a column that nobody knows, or one twice', () => {
    expect(problemsOf(`key,recipient,ammount\na,${alice},1`)).toEqual([
      expect.stringMatching(/^1: .*unknown: "ammount"\. Known: key, recipient, amount/),
    ]);
    expect(problemsOf(`key,recipient,amount,Amount\na,${alice},1,2`)).toEqual([
      '1: column amount is there twice',
    ]);
  });

  test('is refused where two columns give an amount, or half a custom record', () => {
    const text = `key,recipient,amount,amount_msat,custom_key,custom_value\na,${alice},1,1000,,\nb,${alice},1,,696969,\nc,${alice},1,,5482373484,x\nd,${alice},1,,12,x`;
    expect(problemsOf(text)).toEqual([
      '2: has both amount and amount_msat: give one',
      '3: custom_key and custom_value go together: one of them is missing',
      '4: custom_key 5482373484 is the preimage of the payment itself',
      '5: custom_key "12" is no record type from 65536 up',
    ]);
  });

  test('is refused when it is empty', () => {
    expect(problemsOf('')).toEqual(['0: the file is empty']);
    expect(problemsOf('key,recipient,amount\n')).toEqual(['0: the file names nobody to be paid']);
  });

  test('pays a line that is there twice once', () => {
    const line = `a,${alice},5,hello\n`;
    const file = readPayoutFile(
      `key,recipient,amount,message,note\n${line}b,${bob},7\n${line}a,${alice},5.000,hello,again\n`,
      'csv',
    );
    expect(file.lines.map(({ key }) => key)).toEqual(['a', 'b']);
    expect(file.totalMsat).toBe(12_000n);
    expect(file.duplicates).toEqual([
      { line: 4, firstLine: 2, key: 'a' },
      { line: 5, firstLine: 2, key: 'a' },
    ]);
  });

  test('without keys is paid by what it says, in any order', () => {
    const rows = [`${alice},5`, `${bob},7`, `${alice},5`, `${alice},6`];
    const read = (lines: readonly string[]) =>
      readPayoutFile(`recipient,amount\n${lines.join('\n')}`, 'csv', { keysFromContent: true });
    const file = read(rows);
    expect(file.lines).toHaveLength(3);
    expect(file.duplicates).toHaveLength(1);
    const keys = (lines: readonly string[]) =>
      read(lines)
        .lines.map(({ key }) => key)
        .sort();
    expect(keys([...rows].reverse())).toEqual(keys(rows));
  });
});

describe('a payout file in JSON', () => {
  const entry = (more: string) => `{"key":"a","recipient":"${alice}",${more}}`;

  test('is an array or one object a line', () => {
    const objects = [
      entry('"amount":1.5,"customKey":696969,"customValue":"x"'),
      `{"key":"b","recipient":"b@example.com","amountMsat":"7000","message":"[{\\"","note":null}`,
    ];
    const expected = [
      { key: 'a', amountMsat: 1_500n, recipient: { address: alice, customKey: '696969' } },
      { key: 'b', amountMsat: 7_000n, message: '[{"' },
    ];
    const array = readPayoutFile(`[\n${objects.join(',\n\n')}\n]`, 'json');
    expect(array.lines).toMatchObject(expected);
    expect(array.lines.map(({ line }) => line)).toEqual([2, 4]);
    const lines = readPayoutFile(objects.join('\n\n'), 'json');
    expect(lines.lines).toMatchObject(expected);
    expect(lines.lines.map(({ line }) => line)).toEqual([1, 3]);
  });

  test('tells of every problem at once, with its line', () => {
    expect(
      problemsOf(
        `[\n1,\n${entry('"amount":true')},\n${entry('"amuont":1')},\n${entry('"amount":1e21')}]`,
        'json',
      ),
    ).toEqual([
      '2: is no object',
      '3: amount is neither text nor a number',
      expect.stringMatching(/^4: has an unknown field "amuont"/),
      '5: amount is too large for a number in JSON: write it as text, in quotes',
    ]);
    expect(problemsOf(`${entry('"amount":1')}\n{"key"\n`, 'json')).toEqual([
      '2: is no JSON: write one object a line, or all in one array',
    ]);
    expect(problemsOf('[\n{"key": 1,}\n]', 'json')).toEqual([expect.stringMatching(/the file is no JSON/)]);
    expect(problemsOf(`[${entry('"amount":1,"Amount":2')}]`, 'json')).toEqual(['1: names amount twice']);
  });
});

test('no text makes the readers throw anything but a PayoutFileError', () => {
  const pieces = fc.constantFrom(
    'key',
    'recipient',
    'amount',
    ',',
    ';',
    '"',
    '\n',
    '\r\n',
    '{',
    '}',
    '[',
    ']',
    ':',
    alice,
    '1',
    ' ',
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(pieces, fc.string()), { maxLength: 40 }),
      fc.constantFrom('csv', 'json'),
      (parts, format) => {
        try {
          readPayoutFile(parts.join(''), format as 'csv' | 'json');
        } catch (error) {
          expect(error).toBeInstanceOf(PayoutFileError);
        }
      },
    ),
  );
});

test('10,000 lines are read well within a second', () => {
  const lines = Array.from({ length: 10_000 }, (_, i) => `k${i},${alice},${i + 1}`);
  const file = readPayoutFile(`key,recipient,amount\n${lines.join('\n')}`, 'csv');
  expect(file.lines).toHaveLength(10_000);
  expect(file.totalMsat).toBe(50_005_000_000n);
});
