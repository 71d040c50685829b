import type { AuditedTransaction, ChainAudit } from './chainAudit.js';
import type { Ending } from './closing.js';
import { type Line, type LineHtlc, nodeOf, spendsFunding } from './line.js';
import { anchorSat, expectedOutputs, otherSide, type Side } from './oracle.js';
import type { Scene } from './scene.js';
import type { SettlementNode } from './settlementNode.js';
import { isRace } from './situation.js';
import { SettlementError } from './world.js';

/** Who an HTLC went to by BOLT 5; `lost`: to the miners, or to nobody who can take it. */
export type HtlcFate = 'receiver' | 'offerer' | 'lost';

export interface LineVerdict {
  /** What each side is due of this channel, before the fees of its own transactions. */
  readonly dueSat: Readonly<Record<Side, bigint>>;
  readonly fates: ReadonlyMap<LineHtlc, HtlcFate>;
  readonly commitment: AuditedTransaction;
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new SettlementError(what);
}

function sortedText(values: readonly bigint[]): string {
  return [...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).join(' ');
}

/** Who is to have an HTLC's output, by BOLT 5 and by what happened; `race` where either may. */
function expectedFate({ situation }: Scene, ending: Ending, { from, payment }: LineHtlc): HtlcFate | 'race' {
  if (ending.cheated) return 'offerer';
  const receiver = otherSide(from);
  // BOLT 5 has nothing for who does not know the HTLC: he cannot make its script.
  if (ending.blind === from && !payment.released) return 'lost';
  if (ending.blind === receiver) return 'offerer';
  if (!payment.released) return 'offerer';
  if (isRace(situation)) return ending.blind === from ? 'receiver' : 'race';
  return situation.resolution === 'late_offerer' ? 'offerer' : 'receiver';
}

/** Holds one closed channel's transactions against what the specification makes of the facts. */
export function judgeLine(
  scene: Scene,
  ending: Ending,
  { line, audit }: { line: Line; audit: ChainAudit },
): LineVerdict {
  const commitment = audit.transactions.find(({ tx }) => spendsFunding(line, tx));
  if (commitment === undefined) throw new SettlementError('no block spends the funding output');
  if (ending.holder === 'both') return judgeTogether(scene, { line, commitment });
  const { holder } = ending;
  const expected = expectedOutputs({
    holder,
    opener: line.opener,
    commitment: scene.situation.commitment,
    feeratePerKw: line.feeratePerKw,
    dustLimitSat: line.dustLimitSat,
    balanceMsat: line.balanceMsat,
    htlcs: line.htlcs,
  });
  const wanted = [
    ...Object.values(expected.mainSat),
    ...expected.htlcs.map(({ valueSat }) => valueSat),
    ...Array(expected.anchors).fill(anchorSat),
  ];
  const { tx, txidHex, owners } = commitment;
  expect(
    sortedText(tx.outputs.map(({ valueSat }) => valueSat)) === sortedText(wanted),
    `the outputs of the commitment are ${sortedText(tx.outputs.map(({ valueSat }) => valueSat))}, not ${sortedText(wanted)}`,
  );
  expect(
    owners.length === 1 && owners[0] === nodeOf(line, holder),
    `${txidHex} is the commitment of ${owners.map(({ name }) => name).join(' and ')}`,
  );

  const due: Record<Side, bigint> = { us: 0n, peer: 0n };
  const fates = new Map<LineHtlc, HtlcFate>();
  for (const htlc of expected.trimmed) fates.set(htlc, 'lost');
  for (const htlc of line.htlcs) if (!htlc.inCommitmentOf.includes(holder)) fates.set(htlc, 'offerer');
  const left = [...expected.htlcs];
  const mains = new Map(Object.entries(expected.mainSat).map(([side, sat]) => [sat, side as Side]));
  tx.outputs.forEach(({ valueSat }, index) => {
    const at = `output ${index} (${valueSat} sat) of the commitment`;
    const side = mains.get(valueSat);
    if (side !== undefined) {
      const owner = ending.cheated ? 'us' : side;
      expectTaken({ line, audit }, { tx, index, at, by: owner });
      due[owner] += valueSat;
      return;
    }
    const found = left.findIndex((one) => one.valueSat === valueSat);
    const [output] = found < 0 ? [] : left.splice(found, 1);
    if (output === undefined) {
      // An anchor: whoever needed it has spent it, or it lies there.
      const taking = audit.taking(tx, index);
      if (taking?.owner === line.us) due.us += valueSat;
      if (taking?.owner === line.peer) due.peer += valueSat;
      return;
    }
    const { htlc } = output;
    let fate = expectedFate(scene, ending, htlc);
    if (ending.cheated) {
      expectPunished({ line, audit }, { tx, index, at, due });
      fates.set(htlc, 'offerer');
      return;
    }
    const taking = audit.taking(tx, index);
    if (fate === 'race') fate = taking?.owner === nodeOf(line, htlc.from) ? 'offerer' : 'receiver';
    fates.set(htlc, fate);
    if (fate === 'lost') {
      expect(taking === undefined, `${at} is taken by ${taking?.owner.name}, who should not be able to`);
      return;
    }
    const by = fate === 'offerer' ? htlc.from : otherSide(htlc.from);
    expectTaken({ line, audit }, { tx, index, at: `${at}, an HTLC`, by });
    due[by] += valueSat;
  });
  return { dueSat: due, fates, commitment };
}

function expectTaken(
  { line, audit }: { line: Line; audit: ChainAudit },
  { tx, index, at, by }: { tx: AuditedTransaction['tx']; index: number; at: string; by: Side },
): void {
  const owner = audit.taking(tx, index)?.owner;
  expect(
    owner === nodeOf(line, by),
    `${at} is ${nodeOf(line, by).name}'s, but ${owner === undefined ? 'nobody' : owner.name} has taken it`,
  );
}

/** Ours in the end, be it after a transaction of the cheater's. */
function expectPunished(
  { line, audit }: { line: Line; audit: ChainAudit },
  {
    tx,
    index,
    at,
    due,
  }: { tx: AuditedTransaction['tx']; index: number; at: string; due: Record<Side, bigint> },
): void {
  const first = audit.taking(tx, index);
  const valueSat = tx.outputs[index]?.valueSat ?? 0n;
  if (first?.owner !== line.peer) {
    expectTaken({ line, audit }, { tx, index, at, by: 'us' });
    due.us += valueSat;
    return;
  }
  const next = audit.nextOf(first, tx, index);
  const second = first.by.tx.outputs[next];
  if (second === undefined) throw new SettlementError(`${at}: no second output`);
  expectTaken({ line, audit }, { tx: first.by.tx, index: next, at: `${at}, after the cheater`, by: 'us' });
  due.us += second.valueSat;
  // Where the cheater's transaction pays its fee out of the HTLC (no anchors) that is what we lose.
  due.peer += valueSat - second.valueSat;
}

/** One of the two has paid the fee: by closing_signed the opener, by option_simple_close who closes. */
function judgeTogether(
  { situation }: Scene,
  { line, commitment }: { line: Line; commitment: AuditedTransaction },
): LineVerdict {
  const { tx, feeSat } = commitment;
  const balance = { us: line.balanceMsat.us / 1000n, peer: line.balanceMsat.peer / 1000n };
  // Each side's part of a satoshi is the miners'.
  const roundedSat = commitment.tx.inputs.length === 1 ? lineSat(line) - balance.us - balance.peer : 0n;
  const payers: readonly Side[] = situation.close === 'mutual_legacy' ? [line.opener] : ['us', 'peer'];
  for (const payer of payers) {
    const dueSat = { ...balance, [payer]: balance[payer] - (feeSat - roundedSat) };
    const outputs = sortedText(tx.outputs.map(({ valueSat }) => valueSat));
    if (outputs === sortedText([dueSat.us, dueSat.peer])) return { dueSat, fates: new Map(), commitment };
  }
  throw new SettlementError(
    `the close together pays ${sortedText(tx.outputs.map(({ valueSat }) => valueSat))} of the balances ${sortedText(Object.values(balance))} with the fee ${feeSat}`,
  );
}

function lineSat({ balanceMsat }: Line): bigint {
  return (balanceMsat.us + balanceMsat.peer) / 1000n;
}

const minFeeratePerKw = 253n;
/** The chain asks for 253; what is near a deadline may pay more, but not this. */
const maxFeeratePerKw = 20_000n;
/** Of what is claimed after its deadline: then all of it is at stake. */
const maxLatePercent = 95n;
/** Satoshis that a weight's rounding may cost. */
const roundingSat = 4n;

/** What each node's own transactions cost it; commitments and closes are paid out of their channels. */
export function feesOf(
  { situation }: Scene,
  {
    audit,
    node,
    closing,
  }: { audit: ChainAudit; node: SettlementNode; closing: ReadonlySet<AuditedTransaction> },
): bigint {
  const { close, resolution } = situation;
  const mayBeLate = resolution !== 'in_time' || isRace(situation) || close === 'revoked_advanced';
  let sum = 0n;
  for (const one of audit.transactions) {
    if (closing.has(one) || !one.owners.includes(node)) continue;
    const { feeSat, inSat, weight, txidHex } = one;
    const atRate = (feeratePerKw: bigint) => (feeratePerKw * BigInt(weight)) / 1000n;
    const most = mayBeLate ? (inSat * maxLatePercent) / 100n : atRate(maxFeeratePerKw);
    expect(
      feeSat + roundingSat >= atRate(minFeeratePerKw) && feeSat <= most,
      `${txidHex} of ${node.name} pays ${feeSat} sat for ${weight} weight units`,
    );
    sum += feeSat;
  }
  return sum;
}
