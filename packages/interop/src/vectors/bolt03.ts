import assert from 'node:assert/strict';
import { bytesToHex, concatBytes, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256, sha256d } from '@rivulet/core/crypto';
import {
  type ChannelBasepoints,
  type ChannelSigner,
  deriveCommitmentKeys,
  InMemoryChannelSigner,
} from '@rivulet/core/keys';
import {
  buildCommitment,
  type ChannelType,
  type Commitment,
  commitmentFeeSat,
  commitmentNumberOf,
  completeCommitment,
  completeHtlcTx,
  decodeTransaction,
  encodeTransaction,
  encodeWithoutWitness,
  fundingScript,
  fundingWitnessScript,
  type HtlcOutputSpec,
  htlcTxKind,
  htlcTxOf,
  htlcTxWeight,
  htlcTxWitness,
  OP,
  obscuredFactor,
  p2wpkhScript,
  p2wpkhScriptCode,
  p2wshScript,
  remoteHtlcSighashType,
  script,
  segwitSighash,
  sighashAll,
  signatureFromDer,
  signatureToDer,
  signRemoteCommitment,
  type Transaction,
  txid,
  txidFromHex,
  txidToHex,
  verifyLocalCommitment,
  withWitness,
} from '@rivulet/core/tx';
import { bolt03KeyCases } from './bolt03Keys.js';
import { readFixture, type VectorCase } from './vectorCase.js';

interface HtlcFixture {
  direction: 'offered' | 'received';
  amountMsat: string;
  cltvExpiry: number;
  paymentPreimage: string;
}

interface OutputFixture {
  kind: 'htlc' | 'to_local' | 'to_remote';
  valueSat: string;
  htlc?: number;
  witnessScript?: string;
  p2wpkh?: string;
}

interface CaseFixture {
  name: string;
  toLocalMsat: string;
  toRemoteMsat: string;
  feeratePerKw: number;
  dustLimitSat?: string;
  baseFeeSat?: string;
  feeSat?: string;
  /** Indexes into the common HTLCs. */
  htlcs: number[];
  outputs?: OutputFixture[];
  commitTx: string;
  remoteSignature: string;
  localSignature?: string;
  htlcTxs: {
    outputIndex?: number;
    kind?: 'timeout' | 'success';
    htlc?: number;
    remoteSignature: string;
    localSignature?: string;
    tx: string;
  }[];
}

type CommonFixture = Record<
  | 'fundingTxidHex'
  | 'fundingSat'
  | 'commitmentNumber'
  | 'dustLimitSat'
  | 'obscuredFactor'
  | 'localFundingPrivateKey'
  | 'remoteFundingPrivateKey'
  | 'localFundingPubkey'
  | 'remoteFundingPubkey'
  | 'localPaymentBasepoint'
  | 'remotePaymentBasepoint'
  | 'localPaymentBasepointSecret'
  | 'remotePaymentBasepointSecret'
  | 'remoteRevocationBasepointSecret'
  | 'remoteRevocationBasepoint'
  | 'localDelayedPaymentBasepointSecret'
  | 'localDelayedPaymentBasepoint'
  | 'localPerCommitmentPoint'
  | 'localHtlcPubkey'
  | 'remoteHtlcPubkey'
  | 'localDelayedPubkey'
  | 'revocationPubkey'
  | 'fundingWitnessScript',
  string
> & { fundingOutputIndex: number; toSelfDelay: number; htlcs: HtlcFixture[] };

type FundingFixture = Record<
  | 'coinbaseTx'
  | 'coinbasePrivateKey'
  | 'localFundingPubkey'
  | 'remoteFundingPubkey'
  | 'witnessScript'
  | 'inputTxidHex'
  | 'fundingSat'
  | 'changeSat'
  | 'tx'
  | 'txidHex',
  string
> & { inputIndex: number; fundingOutputIndex: number };

type DualFundingFixture = Record<
  'parentTx' | 'pubkey1' | 'pubkey2' | 'witnessScript' | 'scriptPubKey' | 'unsignedTx' | 'signedTx' | 'txid',
  string
> & { witnesses: string[] };

interface TransactionFixture {
  funding: FundingFixture;
  common: CommonFixture;
  cases: CaseFixture[];
}

interface AnchorFixture {
  zeroFeeHtlc: CaseFixture[];
  nonZeroFeeHtlc: CaseFixture[];
}

/** Checks the funding transaction of appendix B, its P2PKH input's signature included. */
function checkFunding(fixture: FundingFixture): void {
  const { localFundingPubkey, remoteFundingPubkey } = fixture;
  const keys = [hexToBytes(remoteFundingPubkey), hexToBytes(localFundingPubkey)] as const;
  assert.equal(bytesToHex(fundingWitnessScript(...keys)), fixture.witnessScript);
  assert.equal(txidToHex(txid(decodeTransaction(hexToBytes(fixture.coinbaseTx)))), fixture.inputTxidHex);

  const privateKey = hexToBytes(fixture.coinbasePrivateKey);
  const pubkey = secp256k1.publicKey(privateKey);
  const build = (scriptSig: Uint8Array): Transaction => ({
    version: 2,
    lockTime: 0,
    inputs: [
      {
        outpoint: { txid: txidFromHex(fixture.inputTxidHex), index: fixture.inputIndex },
        scriptSig,
        sequence: 0xffffffff,
        witness: [],
      },
    ],
    outputs: [
      { valueSat: BigInt(fixture.fundingSat), script: fundingScript(...keys) },
      { valueSat: BigInt(fixture.changeSat), script: p2wpkhScript(pubkey) },
    ],
  });
  const preimage = encodeWithoutWitness(build(p2wpkhScriptCode(pubkey)));
  const hash = sha256d(concatBytes(preimage, Uint8Array.of(1, 0, 0, 0)));
  const signature = signatureToDer(secp256k1.sign(hash, privateKey), sighashAll);
  const tx = build(script(signature, pubkey));
  assert.equal(bytesToHex(encodeTransaction(tx)), fixture.tx);
  assert.equal(txidToHex(txid(tx)), fixture.txidHex);
}

/** Neither side's vectors need the secrets that these fill in. */
const unused = new Uint8Array(32).fill(9);

function localSigner(common: CommonFixture): ChannelSigner {
  return new InMemoryChannelSigner({
    fundingPrivateKey: hexToBytes(common.localFundingPrivateKey),
    revocationBasepointSecret: unused,
    paymentBasepointSecret: hexToBytes(common.localPaymentBasepointSecret),
    delayedPaymentBasepointSecret: hexToBytes(common.localDelayedPaymentBasepointSecret),
    htlcBasepointSecret: hexToBytes(common.localPaymentBasepointSecret),
    shachainSeed: unused,
  });
}

function remoteSigner(common: CommonFixture): ChannelSigner {
  return new InMemoryChannelSigner({
    fundingPrivateKey: hexToBytes(common.remoteFundingPrivateKey),
    revocationBasepointSecret: hexToBytes(common.remoteRevocationBasepointSecret),
    paymentBasepointSecret: hexToBytes(common.remotePaymentBasepointSecret),
    delayedPaymentBasepointSecret: unused,
    htlcBasepointSecret: hexToBytes(common.remotePaymentBasepointSecret),
    shachainSeed: unused,
  });
}

function checkKeys(common: CommonFixture): void {
  const local = localSigner(common).basepoints;
  const remote = remoteSigner(common).basepoints;
  const checkBasepoints = (
    actual: ChannelBasepoints,
    expected: Partial<Record<keyof ChannelBasepoints, string>>,
  ) => {
    for (const [name, hex] of Object.entries(expected)) {
      assert.equal(bytesToHex(actual[name as keyof ChannelBasepoints]), hex, name);
    }
  };
  checkBasepoints(local, {
    fundingPubkey: common.localFundingPubkey,
    paymentBasepoint: common.localPaymentBasepoint,
    delayedPaymentBasepoint: common.localDelayedPaymentBasepoint,
  });
  checkBasepoints(remote, {
    fundingPubkey: common.remoteFundingPubkey,
    paymentBasepoint: common.remotePaymentBasepoint,
    revocationBasepoint: common.remoteRevocationBasepoint,
  });
  const keys = commitmentKeys(common);
  assert.equal(bytesToHex(keys.localDelayedPubkey), common.localDelayedPubkey);
  assert.equal(bytesToHex(keys.localHtlcPubkey), common.localHtlcPubkey);
  assert.equal(bytesToHex(keys.remoteHtlcPubkey), common.remoteHtlcPubkey);
  assert.equal(bytesToHex(keys.revocationPubkey), common.revocationPubkey);
  assert.equal(
    bytesToHex(fundingWitnessScript(keys.localFundingPubkey, keys.remoteFundingPubkey)),
    common.fundingWitnessScript,
  );
  assert.equal(factorOf(common), BigInt(common.obscuredFactor));
}

function commitmentKeys(common: CommonFixture) {
  return deriveCommitmentKeys({
    perCommitmentPoint: hexToBytes(common.localPerCommitmentPoint),
    holder: localSigner(common).basepoints,
    counterparty: remoteSigner(common).basepoints,
  });
}

function factorOf(common: CommonFixture): bigint {
  return obscuredFactor(hexToBytes(common.localPaymentBasepoint), hexToBytes(common.remotePaymentBasepoint));
}

type VectorHtlc = HtlcOutputSpec & { preimage: Uint8Array };

function vectorHtlc(common: CommonFixture, index: number): VectorHtlc {
  const { direction, amountMsat, cltvExpiry, paymentPreimage } = common.htlcs[index] as HtlcFixture;
  const preimage = hexToBytes(paymentPreimage);
  const paymentHash = sha256(preimage);
  return { direction, id: BigInt(index), amountMsat: BigInt(amountMsat), paymentHash, cltvExpiry, preimage };
}

interface CaseInput {
  common: CommonFixture;
  fixture: CaseFixture;
  channelType: ChannelType;
  htlcs: readonly VectorHtlc[];
}

function commitmentOf({ common, fixture, channelType, htlcs }: CaseInput): Commitment<VectorHtlc> {
  return buildCommitment({
    channelType,
    fundingOutpoint: { txid: txidFromHex(common.fundingTxidHex), index: common.fundingOutputIndex },
    fundingSat: BigInt(common.fundingSat),
    obscuredCommitmentFactor: factorOf(common),
    commitmentNumber: BigInt(common.commitmentNumber),
    toLocalMsat: BigInt(fixture.toLocalMsat),
    toRemoteMsat: BigInt(fixture.toRemoteMsat),
    htlcs,
    feeratePerKw: fixture.feeratePerKw,
    dustLimitSat: BigInt(fixture.dustLimitSat ?? common.dustLimitSat),
    toSelfDelay: common.toSelfDelay,
    holderIsOpener: true,
    keys: commitmentKeys(common),
  });
}

function derHex(signature: Uint8Array): string {
  return bytesToHex(signatureToDer(signature, sighashAll).slice(0, -1));
}

function compact(der: string): Uint8Array {
  return signatureFromDer(hexToBytes(`${der}01`)).signature;
}

/** Checks that the outputs are those that the appendix lists (it does so in no order). */
function checkOutputs(commitment: Commitment, expected: readonly OutputFixture[]): void {
  const describe = (kind: string, valueSat: bigint, witnessScript: string, htlc?: bigint | number) =>
    `${kind} ${htlc ?? ''} ${valueSat} ${witnessScript}`;
  const actual = commitment.outputs.map((output) =>
    describe(
      output.kind,
      output.valueSat,
      bytesToHex(output.witnessScript ?? output.script),
      output.kind === 'htlc' ? output.htlc.id : undefined,
    ),
  );
  const wanted = expected.map(({ kind, valueSat, witnessScript, p2wpkh, htlc }) =>
    describe(
      kind,
      BigInt(valueSat),
      witnessScript ?? bytesToHex(p2wpkhScript(hexToBytes(p2wpkh as string))),
      htlc,
    ),
  );
  // The case of two equal HTLCs lists no balances.
  const listed = wanted.some((line) => line.startsWith('to_'))
    ? actual
    : actual.filter((line) => line.startsWith('htlc'));
  assert.deepEqual(listed.sort(), wanted.sort());
}

function checkCommitment({ common, fixture, channelType, htlcs }: CaseInput): void {
  const commitment = commitmentOf({ common, fixture, channelType, htlcs });
  const untrimmedHtlcs = commitment.htlcOutputs.length;
  if (fixture.baseFeeSat !== undefined) {
    const { feeratePerKw } = fixture;
    const feeSat = commitmentFeeSat({ channelType, feeratePerKw, untrimmedHtlcs });
    assert.equal(feeSat, BigInt(fixture.baseFeeSat));
  }
  if (fixture.feeSat !== undefined) assert.equal(commitment.feeSat, BigInt(fixture.feeSat));
  if (fixture.outputs !== undefined) checkOutputs(commitment, fixture.outputs);
  assert.equal(untrimmedHtlcs, fixture.htlcTxs.length);

  const signer = localSigner(common);
  const { signature, htlcSignatures } = signRemoteCommitment(remoteSigner(common), commitment);
  assert.equal(derHex(signature), fixture.remoteSignature);
  assert.deepEqual(
    htlcSignatures.map(derHex),
    fixture.htlcTxs.map(({ remoteSignature }) => remoteSignature),
  );
  assert.equal(verifyLocalCommitment(commitment, { signature, htlcSignatures }), undefined);

  const commitTx = completeCommitment({ signer, commitment, remoteSignature: signature });
  assert.equal(bytesToHex(encodeTransaction(commitTx)), fixture.commitTx);
  assert.deepEqual(
    encodeTransaction(decodeTransaction(hexToBytes(fixture.commitTx))),
    hexToBytes(fixture.commitTx),
  );
  assert.equal(commitmentNumberOf(commitTx, factorOf(common)), BigInt(common.commitmentNumber));

  for (const [i, expected] of fixture.htlcTxs.entries()) {
    const htlcOutput = commitment.htlcOutputs[i] as (typeof commitment.htlcOutputs)[number];
    const { htlc, outputIndex } = htlcOutput;
    if (expected.outputIndex !== undefined) assert.equal(outputIndex, expected.outputIndex);
    if (expected.htlc !== undefined) assert.equal(htlc.id, BigInt(expected.htlc));
    if (expected.kind !== undefined) assert.equal(htlcTxKind(htlc.direction), expected.kind);
    const tx = completeHtlcTx({
      signer,
      commitment,
      htlcOutput,
      remoteSignature: compact(expected.remoteSignature),
      ...(htlc.direction === 'received' ? { preimage: htlc.preimage } : {}),
    });
    assert.equal(bytesToHex(encodeTransaction(tx)), expected.tx);
  }
}

/**
 * The older anchors (feature 20, no longer in BOLT 9) have the same scripts and signatures, but their
 * HTLC transactions pay a fee, which also counts when outputs are trimmed. Rivulet does not open such
 * channels; fee and trimming are put in here, everything else is the product's.
 */
function checkOldAnchors({ common, fixture, htlcs }: CaseInput): void {
  const channelType = 'anchors';
  const feeOf = ({ direction }: VectorHtlc) =>
    (BigInt(htlcTxWeight(htlcTxKind(direction), channelType)) * BigInt(fixture.feeratePerKw)) / 1000n;
  const dustLimitSat = BigInt(common.dustLimitSat);
  const untrimmed = htlcs.filter((htlc) => htlc.amountMsat / 1000n >= dustLimitSat + feeOf(htlc));
  const commitment = commitmentOf({ common, fixture, channelType, htlcs: untrimmed });
  const signer = localSigner(common);
  const remoteSignature = signRemoteCommitment(remoteSigner(common), commitment).signature;
  assert.equal(derHex(remoteSignature), fixture.remoteSignature);
  const commitTx = completeCommitment({ signer, commitment, remoteSignature });
  assert.equal(bytesToHex(encodeTransaction(commitTx)), fixture.commitTx);

  assert.equal(commitment.htlcOutputs.length, fixture.htlcTxs.length);
  const { perCommitmentPoint } = commitment.params.keys;
  for (const [i, expected] of fixture.htlcTxs.entries()) {
    const htlcOutput = commitment.htlcOutputs[i] as (typeof commitment.htlcOutputs)[number];
    const { htlc, valueSat, witnessScript } = htlcOutput;
    const free = htlcTxOf(commitment, htlcOutput);
    const outputs = free.outputs.map((output) => ({ ...output, valueSat: output.valueSat - feeOf(htlc) }));
    const tx = { ...free, outputs };
    const input = { tx, inputIndex: 0, scriptCode: witnessScript, valueSat };
    const sign = (by: ChannelSigner, sighashType: Parameters<typeof segwitSighash>[0]['sighashType']) =>
      by.signWithHtlcKey(perCommitmentPoint, [segwitSighash({ ...input, sighashType })])[0] as Uint8Array;
    const remote = sign(remoteSigner(common), remoteHtlcSighashType(channelType));
    assert.equal(derHex(remote), expected.remoteSignature);
    const witness = htlcTxWitness({
      channelType,
      remoteSignature: remote,
      localSignature: sign(signer, sighashAll),
      preimage: htlc.direction === 'received' ? htlc.preimage : undefined,
      witnessScript,
    });
    assert.equal(bytesToHex(encodeTransaction(withWitness(tx, 0, witness))), expected.tx);
  }
}

/** The transaction of appendix G, as far as it is one: negotiating it is not what this checks. */
function checkDualFunding(fixture: DualFundingFixture): void {
  const keys = [hexToBytes(fixture.pubkey2), hexToBytes(fixture.pubkey1)] as const;
  assert.equal(bytesToHex(fundingWitnessScript(...keys)), fixture.witnessScript);
  assert.equal(bytesToHex(p2wshScript(fundingWitnessScript(...keys))), fixture.scriptPubKey);
  const unsigned = decodeTransaction(hexToBytes(fixture.unsignedTx));
  assert.equal(txidToHex(txid(unsigned)), fixture.txid);
  const signed = decodeTransaction(hexToBytes(fixture.signedTx));
  assert.equal(bytesToHex(encodeWithoutWitness(signed)), fixture.unsignedTx);
  assert.equal(bytesToHex(encodeTransaction(signed)), fixture.signedTx);
  const outputs = decodeTransaction(hexToBytes(fixture.parentTx)).outputs;
  const inputIndex = signed.inputs.findIndex(({ witness }) => witness[1]?.length === 33);
  const input = signed.inputs[inputIndex] as (typeof signed.inputs)[number];
  const [signature, pubkey] = input.witness as [Uint8Array, Uint8Array];
  const hash = segwitSighash({
    tx: unsigned,
    inputIndex,
    scriptCode: p2wpkhScriptCode(pubkey),
    valueSat: outputs[input.outpoint.index]?.valueSat as bigint,
    sighashType: sighashAll,
  });
  assert.ok(secp256k1.verify(signatureFromDer(signature).signature, hash, pubkey));
  assert.equal(signed.outputs.at(-1)?.script[0], OP.FALSE);
}

/** Every vector of BOLT 3: appendices B to F, and the transaction of G. */
export function bolt03Cases(): VectorCase[] {
  const { funding, common, cases } = JSON.parse(
    readFixture('bolt03-transactions.json'),
  ) as TransactionFixture;
  const anchors = JSON.parse(readFixture('bolt03-anchors.json')) as AnchorFixture;
  const dualFunding = JSON.parse(readFixture('bolt03-dual-funding.json')) as DualFundingFixture;
  const commitmentCase = (
    label: string,
    fixture: CaseFixture,
    check: (input: CaseInput) => void,
    channelType: ChannelType,
  ): VectorCase => ({
    name: `BOLT 3 ${label}: ${fixture.name}`,
    run: () =>
      check({ common, fixture, channelType, htlcs: fixture.htlcs.map((index) => vectorHtlc(common, index)) }),
  });
  return [
    { name: 'BOLT 3 appendix B: funding transaction', run: () => checkFunding(funding) },
    { name: 'BOLT 3 appendix C: keys and obscuring factor', run: () => checkKeys(common) },
    ...cases.map((fixture) => commitmentCase('appendix C', fixture, checkCommitment, 'static_remotekey')),
    ...bolt03KeyCases(),
    ...anchors.zeroFeeHtlc.map((fixture) =>
      commitmentCase('appendix F', fixture, checkCommitment, 'anchors'),
    ),
    ...anchors.nonZeroFeeHtlc.map((fixture) =>
      commitmentCase('anchors with HTLC fees', fixture, checkOldAnchors, 'anchors'),
    ),
    { name: 'BOLT 3 appendix G: funding transaction', run: () => checkDualFunding(dualFunding) },
  ];
}
