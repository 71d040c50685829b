import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { verifySenderProof } from '../proof/senderProof.js';
import type { IncomingKeysend } from './incomingKeysend.js';
import { channel, keysend } from './policy.test.support.js';
import { type PolicySettings, readPolicySettings } from './policySettings.js';
import { readPolicyState } from './policyState.js';
import { ReceivePolicy, type ReceivePolicyOptions, type SenderVerdict } from './receivePolicy.js';

const NOW = 1_700_000_000_000;
const alice = `02${'aa'.repeat(32)}`;
const mallory = `03${'bb'.repeat(32)}`;
const policy = (settings: Omit<PolicySettings, 'version'>, options: ReceivePolicyOptions = {}) =>
  new ReceivePolicy({ version: 1, ...settings }, options);
/** The rule, or the action where it is let in. */
const verdictOf = (it: ReceivePolicy, payment: Parameters<typeof keysend>[0] | IncomingKeysend = {}) => {
  const verdict = it.judge(keysend(payment));
  return verdict.action === 'accept' ? 'accept' : verdict.rule;
};
const proven = (status: SenderVerdict) => ({ verify: () => status });
const invalid = expect.objectContaining({ code: 'request_invalid' });

describe('amounts and words', () => {
  test('without settings everything is let in', () => {
    expect(verdictOf(policy({}), { amountMsat: 1n, boostagram: { message: 'https://x.com' } })).toBe(
      'accept',
    );
  });

  test('a minimum, and another for those that bring words', () => {
    const it = policy({ minimumMsat: '1000', minimumWithMessageMsat: '50000' });
    expect(verdictOf(it, { amountMsat: 999n })).toBe('minimum');
    expect(verdictOf(it, { amountMsat: 1_000n })).toBe('accept');
    expect(verdictOf(it, { amountMsat: 49_999n, boostagram: { message: 'hello' } })).toBe(
      'minimum_with_message',
    );
    expect(verdictOf(it, { amountMsat: 50_000n, boostagram: { message: 'hello' } })).toBe('accept');
    expect(verdictOf(it, { amountMsat: 1_000n, boostagram: { message: ' \u200b ' } })).toBe('accept');
    const tip = new Map([[34_349_334n, new TextEncoder().encode('a plain message')]]);
    expect(verdictOf(it, { amountMsat: 1_000n, records: tip })).toBe('minimum_with_message');
  });

  test('length, links and words, in any disguise and in any field that is shown', () => {
    const it = policy({ message: { maxLength: 30, links: 'refuse', refuseWords: ['scam', 'free money'] } });
    expect(verdictOf(it, { boostagram: { message: 'x'.repeat(31) } })).toBe('message_length');
    expect(verdictOf(it, { boostagram: { message: '👍'.repeat(30) } })).toBe('accept');
    expect(verdictOf(it, { boostagram: { message: 'see evil.com' } })).toBe('message_links');
    expect(verdictOf(it, { boostagram: { sender_name: 'www.evil.example' } })).toBe('message_links');
    expect(verdictOf(it, { boostagram: { message: 'S\u200bСАМ' } })).toBe('message_words');
    expect(verdictOf(it, { boostagram: { app_name: 'Free Money' } })).toBe('message_words');
    expect(verdictOf(it, { boostagram: { episode: 'all of it a scam' } })).toBe('message_words');
    expect(verdictOf(it, { boostagram: { message: 'fine', boost_link: 'https://app.example' } })).toBe(
      'accept',
    );
  });

  test('several records cannot hide words behind others', () => {
    const it = policy({ message: { refuseWords: ['scam'] } });
    const records = new Map([
      [7_629_169n, new TextEncoder().encode('{"message":"nice"}')],
      [34_349_334n, new TextEncoder().encode('scam')],
    ]);
    expect(verdictOf(it, { records })).toBe('message_words');
  });
});

describe('who sends it', () => {
  test('a wrong signature is refused, a missing one where it is required', () => {
    expect(verdictOf(policy({}, proven({ status: 'invalid' })))).toBe('signature_wrong');
    expect(verdictOf(policy({}, proven({ status: 'absent' })))).toBe('accept');
    expect(verdictOf(policy({ signature: 'required' }, proven({ status: 'absent' })))).toBe(
      'signature_missing',
    );
    expect(verdictOf(policy({ signature: 'required' }, proven({ status: 'valid', nodeId: alice })))).toBe(
      'accept',
    );
    expect(verdictOf(policy({ signature: 'ignored' }, proven({ status: 'invalid' })))).toBe('accept');
  });

  test('a denied sender, channel or name is refused', () => {
    const deny = { senders: [mallory], channels: [channel(7)], names: ['Ｍallory'] };
    expect(verdictOf(policy({ deny }, proven({ status: 'valid', nodeId: mallory })))).toBe('sender_denied');
    const it = policy({ deny, signature: 'ignored' }, proven({ status: 'absent' }));
    expect(verdictOf(it, { channelId: channel(7) })).toBe('channel_denied');
    expect(verdictOf(it, { boostagram: { sender_name: ' MАLLORY' } })).toBe('name_denied');
    expect(verdictOf(it, { boostagram: { sender_name: 'Alice' } })).toBe('accept');
    const ignored = policy({ deny, signature: 'ignored' }, proven({ status: 'valid', nodeId: mallory }));
    expect(verdictOf(ignored)).toBe('sender_denied');
  });

  test('an allowed sender or channel skips amounts, words, holding and the need to sign; not denials and rates', () => {
    const settings = {
      minimumMsat: '1000000',
      signature: 'required' as const,
      message: { maxLength: 1 },
      hold: { seconds: 60, unknownSenders: true },
      allow: { senders: [alice], channels: [channel(2)] },
      deny: { channels: [channel(3)] },
      channelRate: { perSeconds: 60, payments: 2 },
    };
    const boostagram = { message: 'long' };
    const signed = policy(settings, proven({ status: 'valid', nodeId: alice }));
    expect(verdictOf(signed, { boostagram })).toBe('accept');
    expect(verdictOf(signed, { boostagram, channelId: channel(3) })).toBe('channel_denied');
    expect(verdictOf(signed, { boostagram })).toBe('accept');
    expect(verdictOf(signed, { boostagram })).toBe('channel_rate');
    const unsigned = policy(settings, proven({ status: 'absent' }));
    expect(verdictOf(unsigned, { boostagram, channelId: channel(2) })).toBe('accept');
    expect(verdictOf(unsigned, { boostagram })).toBe('minimum');
    expect(verdictOf(policy(settings, proven({ status: 'invalid' })), { channelId: channel(2) })).toBe(
      'signature_wrong',
    );
  });

  test('a claimed name allows nothing but to be known', () => {
    const it = policy({
      minimumMsat: '1000',
      allow: { names: ['Alice'] },
      hold: { seconds: 60, unknownSenders: true },
    });
    expect(verdictOf(it, { boostagram: { sender_name: 'alice' } })).toBe('accept');
    expect(verdictOf(it, { boostagram: { sender_name: 'bob' } })).toBe('hold_unknown_sender');
    expect(verdictOf(it, {})).toBe('hold_unknown_sender');
    expect(verdictOf(it, { amountMsat: 1n, boostagram: { sender_name: 'alice' } })).toBe('minimum');
  });

  test('a signature is looked at only where a cheaper rule has not decided', () => {
    let looked = 0;
    const verify = (): SenderVerdict => {
      looked++;
      return { status: 'absent' };
    };
    const it = policy(
      { minimumMsat: '1000', deny: { channels: [channel(2)] }, signature: 'required' },
      { verify },
    );
    verdictOf(it, { amountMsat: 1n });
    verdictOf(it, { channelId: channel(2) });
    expect(looked).toBe(0);
    verdictOf(it, {});
    expect(looked).toBe(1);
  });

  test('sender proofs fit as they are', () => {
    expect(verdictOf(policy({ signature: 'required' }, { verify: verifySenderProof }))).toBe(
      'signature_missing',
    );
  });
});

describe('holding', () => {
  test('amounts, unknown senders, links and words are held until the deadline', () => {
    const it = policy({
      message: { links: 'hold', holdWords: ['maybe'] },
      hold: { seconds: 600, aboveMsat: '1000000' },
    });
    expect(it.judge(keysend({ amountMsat: 1_000_001n }))).toEqual({
      action: 'hold',
      rule: 'hold_amount',
      untilMs: NOW + 600_000,
    });
    expect(verdictOf(it, { boostagram: { message: 'x.com' } })).toBe('hold_links');
    expect(verdictOf(it, { boostagram: { message: 'Maybe.' } })).toBe('hold_words');
    expect(verdictOf(it, { boostagram: { message: 'yes' } })).toBe('accept');
  });

  test('places are bounded, of a channel and of all, and free again when decided or over', () => {
    const it = policy({ hold: { seconds: 60, aboveMsat: '0', maximum: 3, maximumPerChannel: 2 } });
    const first = keysend();
    expect(it.judge(first).action).toBe('hold');
    expect(verdictOf(it)).toBe('hold_amount');
    expect(verdictOf(it)).toBe('hold_full');
    expect(verdictOf(it, { channelId: channel(2) })).toBe('hold_amount');
    expect(verdictOf(it, { channelId: channel(3) })).toBe('hold_full');
    it.decided(first.paymentHash, 'accept');
    expect(it.judge(first)).toEqual({ action: 'accept' });
    expect(verdictOf(it, { channelId: channel(3) })).toBe('hold_amount');
    expect(verdictOf(it, { channelId: channel(3) })).toBe('hold_full');
    expect(verdictOf(it, { channelId: channel(3), nowMs: NOW + 60_000 })).toBe('hold_amount');
  });
});

describe('rates', () => {
  test('payments of a channel, filled again evenly', () => {
    const it = policy({ channelRate: { perSeconds: 60, payments: 2 } });
    expect([0, 0, 0].map(() => verdictOf(it))).toEqual(['accept', 'accept', 'channel_rate']);
    expect(verdictOf(it, { channelId: channel(2) })).toBe('accept');
    expect(verdictOf(it, { nowMs: NOW + 29_999 })).toBe('channel_rate');
    expect(verdictOf(it, { nowMs: NOW + 30_000 })).toBe('accept');
    expect(verdictOf(it, { nowMs: NOW })).toBe('channel_rate');
  });

  test('an amount of a channel; one above it is never let in', () => {
    const it = policy({ channelRate: { perSeconds: 10, msat: '100000' } });
    expect(verdictOf(it, { amountMsat: 100_001n })).toBe('channel_rate');
    expect(verdictOf(it, { amountMsat: 60_000n })).toBe('accept');
    expect(verdictOf(it, { amountMsat: 60_000n })).toBe('channel_rate');
    expect(verdictOf(it, { amountMsat: 60_000n, nowMs: NOW + 2_000 })).toBe('accept');
  });

  test('who is refused uses up nothing', () => {
    const it = policy({ minimumMsat: '1000', totalRate: { perSeconds: 60, payments: 1 } });
    for (let i = 0; i < 100; i++) expect(verdictOf(it, { amountMsat: 1n })).toBe('minimum');
    expect(verdictOf(it)).toBe('accept');
    expect(verdictOf(it)).toBe('total_rate');
  });

  test('the last quarter of all is for channels that have hardly been used', () => {
    const it = policy({
      channelRate: { perSeconds: 60, payments: 1_000 },
      totalRate: { perSeconds: 60, payments: 800 },
    });
    const verdicts = Array.from({ length: 1_000 }, () => verdictOf(it));
    expect(verdicts.filter((each) => each === 'accept')).toHaveLength(600);
    expect(verdictOf(it, { channelId: channel(2) })).toBe('accept');
  });

  test('many channels cannot win back what one has used up, and share one rate where there is no place', () => {
    const it = policy({ channelRate: { perSeconds: 60, payments: 1 } }, { maxChannels: 3 });
    for (const number of [1, 2, 3]) expect(verdictOf(it, { channelId: channel(number) })).toBe('accept');
    expect(verdictOf(it, { channelId: channel(4) })).toBe('accept');
    expect(verdictOf(it, { channelId: channel(5) })).toBe('channel_rate');
    expect(verdictOf(it, { channelId: channel(1) })).toBe('channel_rate');
    expect(verdictOf(it, { channelId: channel(5), nowMs: NOW + 60_000 })).toBe('accept');
  });
});

describe('the same payment again', () => {
  test('gets the same verdict and counts once, until it is forgotten', () => {
    const it = policy({ channelRate: { perSeconds: 3_600, payments: 1 } });
    const payment = keysend();
    for (let i = 0; i < 5; i++) expect(it.judge(payment)).toEqual({ action: 'accept' });
    expect(it.statistics()).toMatchObject({ accepted: 1, repeated: 4, refused: 0 });
    expect(verdictOf(it, { ...payment, amountMsat: 20_000n })).toBe('channel_rate');
    expect(verdictOf(it, { ...payment, nowMs: NOW + 600_000 })).toBe('channel_rate');
  });

  test('also after a restart, with the state of before', () => {
    const settings = {
      channelRate: { perSeconds: 3_600, payments: 2 },
      hold: { seconds: 900, aboveMsat: '50000' },
    };
    const before = policy(settings);
    const [let_in, held] = [keysend(), keysend({ amountMsat: 60_000n })];
    const verdicts = [before.judge(let_in), before.judge(held)];
    const after = policy(settings, { state: readPolicyState(JSON.parse(JSON.stringify(before.state()))) });
    expect([after.judge(let_in), after.judge(held)]).toEqual(verdicts);
    expect(verdictOf(after)).toBe('channel_rate');
    expect(after.judge({ ...held, nowMs: NOW + 700_000 })).toEqual(verdicts[1]);
  });

  test('damaged state is refused', () => {
    for (const damaged of [null, { version: 1, channels: [['c', { payments: null }]], judged: [] }]) {
      expect(() => readPolicyState(damaged)).toThrow(expect.objectContaining({ code: 'store_invalid' }));
    }
  });

  test('state of other settings is cut to size', () => {
    const before = policy({ totalRate: { perSeconds: 60, msat: '1000000' } });
    before.judge(keysend());
    const state = JSON.parse(JSON.stringify(before.state()));
    const after = policy({ totalRate: { perSeconds: 60, payments: 1 } }, { state });
    expect([verdictOf(after), verdictOf(after)]).toEqual(['accept', 'total_rate']);
  });
});

describe('settings', () => {
  test('are plain JSON, and what is not known in them is refused', () => {
    const settings = { version: 1, minimumMsat: '1000', message: { links: 'refuse' } };
    expect(readPolicySettings(JSON.parse(JSON.stringify(settings)))).toEqual(settings);
    for (const wrong of [
      {},
      { version: 2 },
      { version: 1, minimum: '5' },
      { version: 1, minimumMsat: 5 },
      { version: 1, minimumMsat: '-5' },
      { version: 1, hold: { seconds: 100_000 } },
      { version: 1, message: { links: 'hold' } },
      { version: 1, message: { refuseWords: ['*'] } },
      { version: 1, allow: { senders: ['alice'] } },
      { version: 1, channelRate: { payments: 5 } },
      null,
    ]) {
      expect(() => readPolicySettings(wrong), JSON.stringify(wrong)).toThrow(invalid);
    }
  });

  test('that ask who the sender is need a verifier', () => {
    expect(() => policy({ signature: 'required' })).toThrow(invalid);
    expect(() => policy({ allow: { senders: [alice] } })).toThrow(invalid);
  });
});

describe('threat 27: floods', () => {
  const settings = {
    minimumMsat: '1000',
    minimumWithMessageMsat: '5000',
    channelRate: { perSeconds: 60, payments: 100 },
    totalRate: { perSeconds: 60, payments: 400 },
    message: { maxLength: 200, links: 'refuse' as const, refuseWords: ['scam'] },
    hold: { seconds: 600, aboveMsat: '100000000' },
  };

  test('a million hostile payments keep memory bounded, and an honest channel is let in all the while', () => {
    const it = policy(settings, { maxRemembered: 1_000, maxChannels: 50 });
    const link = keysend({ boostagram: { message: 'x.com' } }).records;
    const none = new Map<bigint, Uint8Array>();
    const amounts = [1n, 1_000n, 5_000n, 200_000_000n];
    let honest = 0;
    for (let i = 0; i < 1_000_000; i++) {
      // A hundred seconds, from three channels.
      const nowMs = NOW + Math.floor(i / 10);
      it.judge({
        paymentHash: `h${i}`,
        amountMsat: amounts[i % 4]!,
        records: i % 50 === 0 ? link : none,
        channelId: channel(10 + (i % 3)),
        recipient: alice,
        nowMs,
      });
      if (i % 20_000 === 0 && verdictOf(it, { channelId: channel(1), nowMs }) === 'accept') honest++;
    }
    expect(honest).toBe(50);
    const { channels, judged } = it.state();
    expect(channels).toHaveLength(4);
    expect(judged.length).toBeLessThanOrEqual(1_000 + 50);
    expect(it.statistics().accepted + it.statistics().held).toBeLessThan(1_000);
  });

  test('whatever is paid, in whatever order, no channel gets more than its rate and its burst', () => {
    const payments = fc.array(
      fc.record({
        channelId: fc.integer({ min: 1, max: 6 }).map(channel),
        amountMsat: fc.bigInt(0n, 300_000_000n),
        waitMs: fc.integer({ min: -1_000, max: 5_000 }),
      }),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(payments, (list) => {
        const it = policy({ ...settings, channelRate: { perSeconds: 60, payments: 5 } }, { maxChannels: 3 });
        const taken = new Map<string, number>();
        let nowMs = NOW;
        let latest = NOW;
        for (const { waitMs, ...payment } of list) {
          nowMs += waitMs;
          latest = Math.max(latest, nowMs);
          if (it.judge(keysend({ ...payment, nowMs })).action === 'refuse') continue;
          taken.set(payment.channelId, (taken.get(payment.channelId) ?? 0) + 1);
        }
        for (const number of taken.values())
          expect(number).toBeLessThanOrEqual(5 + ((latest - NOW) * 5) / 60_000 + 1e-3);
        expect(it.state().channels.length).toBeLessThanOrEqual(4);
      }),
      { numRuns: 100 },
    );
  });

  test('records of any bytes get a verdict', () => {
    const it = policy({ ...settings, hold: { seconds: 60, unknownSenders: true } });
    const types = [7_629_169n, 7_629_171n, 7_629_173n, 34_349_334n, 34_349_340n, 133_773_310n, 5n];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...types), fc.uint8Array({ maxLength: 200 }))),
        (records) => {
          const { action } = it.judge(keysend({ records: new Map(records) }));
          expect(['accept', 'hold', 'refuse']).toContain(action);
        },
      ),
      { numRuns: 300 },
    );
  });
});
