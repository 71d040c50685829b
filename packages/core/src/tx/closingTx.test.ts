import { describe, expect, test } from 'vitest';
import { buildClosingTx, buildLegacyClosingTx, closeeVariant, closerVariants } from './closingTx.js';
import { OP, p2trScript, p2wpkhScript, script } from './script.js';
import { TransactionError } from './transactionError.js';

const fundingOutpoint = { txid: new Uint8Array(32).fill(3), index: 1 };
const localScript = p2wpkhScript(new Uint8Array(20).fill(1));
const remoteScript = p2wpkhScript(new Uint8Array(20).fill(2));
const opReturn = script(OP.RETURN, new Uint8Array(8));

const legacy = {
  fundingOutpoint,
  toLocalMsat: 600_000_999n,
  toRemoteMsat: 399_999_001n,
  localScript,
  remoteScript,
  feeSat: 1_000n,
  localIsOpener: true,
  dustLimitSat: 354n,
};

describe('legacy closing transactions', () => {
  test('round down, take the fee from the opener and sort by value', () => {
    const tx = buildLegacyClosingTx(legacy);
    expect(tx).toMatchObject({ version: 2, lockTime: 0 });
    expect(tx.inputs[0]).toMatchObject({ outpoint: fundingOutpoint, sequence: 0xffffffff });
    expect(tx.outputs).toEqual([
      { valueSat: 399_999n, script: remoteScript },
      { valueSat: 599_000n, script: localScript },
    ]);
    const byRemote = buildLegacyClosingTx({ ...legacy, localIsOpener: false });
    expect(byRemote.outputs.map(({ valueSat }) => valueSat)).toEqual([398_999n, 600_000n]);
  });

  test('are the same from both points of view', () => {
    const other = {
      ...legacy,
      toLocalMsat: legacy.toRemoteMsat,
      toRemoteMsat: legacy.toLocalMsat,
      localScript: remoteScript,
      remoteScript: localScript,
      localIsOpener: false,
    };
    expect(buildLegacyClosingTx(other)).toEqual(buildLegacyClosingTx(legacy));
  });

  test('drop outputs below the dust limit and eliminated ones', () => {
    const scripts = (overrides: Partial<typeof legacy> & { omit?: 'local' | 'remote' }) =>
      buildLegacyClosingTx({ ...legacy, ...overrides }).outputs.map((output) => output.script);
    expect(scripts({ toRemoteMsat: 354_000n })).toEqual([remoteScript, localScript]);
    expect(scripts({ toRemoteMsat: 353_999n })).toEqual([localScript]);
    expect(scripts({ toLocalMsat: 1_353_999n })).toEqual([remoteScript]);
    expect(scripts({ omit: 'local' })).toEqual([remoteScript]);
    expect(scripts({ omit: 'remote' })).toEqual([localScript]);
  });

  test('are refused when the opener cannot pay, or nothing is left', () => {
    expect(() => buildLegacyClosingTx({ ...legacy, feeSat: 600_001n })).toThrow(TransactionError);
    expect(() => buildLegacyClosingTx({ ...legacy, toRemoteMsat: 0n, omit: 'local' })).toThrow(
      TransactionError,
    );
  });
});

const terms = {
  closerMsat: 600_000_999n,
  closeeMsat: 399_999_001n,
  closerScript: localScript,
  closeeScript: remoteScript,
  feeSat: 1_000n,
};
const lockTime = 800_000;
const build = (
  variant: Parameters<typeof buildClosingTx>[0]['variant'],
  overrides: Partial<typeof terms> = {},
) => buildClosingTx({ ...terms, ...overrides, fundingOutpoint, lockTime, variant });

describe('closing transactions of option_simple_close', () => {
  test('have the outputs of their variant, the closer paying the fee', () => {
    const closer = { valueSat: 599_000n, script: localScript };
    const closee = { valueSat: 399_999n, script: remoteScript };
    const tx = build('closer_and_closee_outputs');
    expect(tx).toMatchObject({ version: 2, lockTime });
    expect(tx.inputs[0]).toMatchObject({ outpoint: fundingOutpoint, sequence: 0xfffffffd });
    expect(tx.outputs).toEqual([closee, closer]);
    expect(build('closer_output_only').outputs).toEqual([closer]);
    expect(build('closee_output_only').outputs).toEqual([closee]);
  });

  test('give an OP_RETURN output no value', () => {
    const values = (overrides: Partial<typeof terms>) =>
      build('closer_and_closee_outputs', overrides).outputs.map(({ valueSat }) => valueSat);
    expect(values({ closerScript: opReturn })).toEqual([0n, 399_999n]);
    expect(values({ closeeScript: opReturn })).toEqual([0n, 599_000n]);
  });

  test('are refused when the fee exceeds the balance of the closer', () => {
    expect(build('closer_output_only', { feeSat: 600_000n }).outputs[0]?.valueSat).toBe(0n);
    expect(() => build('closer_output_only', { feeSat: 600_001n })).toThrow(TransactionError);
  });
});

describe('the variants that the closer signs', () => {
  const lesser = { closerMsat: 10_000_000n, closeeMsat: 990_000_000n };

  test.each([
    ['both of its own when it has more', terms, ['closer_output_only', 'closer_and_closee_outputs']],
    [
      'only its own when the output of the closee is dust',
      { ...terms, closeeMsat: 293_999n },
      ['closer_output_only'],
    ],
    ['one with both outputs when it has less', { ...terms, ...lesser }, ['closer_and_closee_outputs']],
    [
      'the one without it when it has less and its output is dust',
      { ...terms, ...lesser, feeSat: 9_707n },
      ['closee_output_only'],
    ],
    [
      'both outputs when it has less and its output is just no dust',
      { ...terms, ...lesser, feeSat: 9_706n },
      ['closer_and_closee_outputs'],
    ],
    [
      'its OP_RETURN, which is never dust',
      { ...terms, ...lesser, feeSat: 10_000n, closerScript: opReturn },
      ['closer_and_closee_outputs'],
    ],
    [
      'the same threshold for either script',
      { ...terms, closeeMsat: 353_999n, closeeScript: p2trScript(new Uint8Array(32)) },
      ['closer_output_only'],
    ],
    [
      'nothing when both outputs would be dust',
      { ...terms, closerMsat: 500_000n, closeeMsat: 200_000n, feeSat: 300n },
      [],
    ],
  ])('%s', (_, input, expected) => {
    expect(closerVariants(input)).toEqual(expected);
  });

  test('need a fee that it can pay', () => {
    expect(() => closerVariants({ ...terms, feeSat: 600_001n })).toThrow(TransactionError);
  });
});

describe('the variant that the closee signs', () => {
  const closee = { closeeMsat: 399_999_001n, closeeScript: remoteScript };
  const both = ['closer_output_only', 'closer_and_closee_outputs'] as const;

  test.each([
    ['has both outputs if it can', { ...closee, signed: both }, 'closer_and_closee_outputs'],
    [
      'is its own alone if only that is signed',
      { ...closee, signed: ['closee_output_only'] },
      'closee_output_only',
    ],
    ['is missing when the closer keeps everything', { ...closee, signed: ['closer_output_only'] }, undefined],
    ['leaves its dust out', { ...closee, closeeMsat: 293_999n, signed: both }, 'closer_output_only'],
    [
      'keeps what is just no dust',
      { ...closee, closeeMsat: 294_000n, signed: both },
      'closer_and_closee_outputs',
    ],
    [
      'leaves out what is not worth it',
      { ...closee, closeeMsat: 999_000n, minimumSat: 1_000n, signed: both },
      'closer_output_only',
    ],
    [
      'keeps its OP_RETURN',
      { closeeMsat: 1n, closeeScript: opReturn, minimumSat: 1_000n, signed: both },
      'closer_and_closee_outputs',
    ],
    [
      'is missing when dust must go but only it is signed',
      { ...closee, closeeMsat: 1_000n, signed: ['closee_output_only'] },
      undefined,
    ],
  ] as const)('%s', (_, input, expected) => {
    expect(closeeVariant(input)).toBe(expected);
  });
});
