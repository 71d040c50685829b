import type { Leg } from '@rivulet/keysend';
import type { RuleEvent, RulePayment, RuleState, StoredRule } from '@rivulet/keysend/automation';
import type { CliContext, GlobalOptions } from '../cliContext.js';
import { formatMsat } from '../format/amount.js';
import { formatTable, formatTime, printable, shorten } from '../format/text.js';
import { printJson } from '../output.js';

type Shown = StoredRule & { readonly state: RuleState | undefined };

/** A rule as JSON: as it was written, and how far it has come. */
export function ruleJson({ definition, rule, enabled, createdAtMs, changedAtMs, state }: Shown) {
  return {
    name: rule.name,
    kind: rule.kind,
    enabled,
    createdAtMs,
    changedAtMs,
    definition,
    ...(state === undefined ? {} : { state }),
  };
}

export function describeRule({ definition, rule, enabled, createdAtMs, changedAtMs, state }: Shown): string {
  const lines = [
    `name          ${rule.name}`,
    `kind          ${rule.kind}`,
    `state         ${enabled ? 'enabled' : 'disabled'}${rule.dryRun ? ', dry run' : ''}`,
    `added         ${formatTime(createdAtMs)}`,
    `changed       ${formatTime(changedAtMs)}`,
  ];
  if (state !== undefined) {
    lines.push(`planned       ${state.planned}`);
    if (state.skipped > 0) lines.push(`missed        ${state.skipped}`);
    if (rule.kind === 'meter') {
      lines.push(`counted       ${state.units} ${printable(rule.unit)}`, `owed          ${state.owed} msat`);
    }
  }
  const json = JSON.stringify(definition, null, 2).split('\n').map(printable).join('\n');
  return `${lines.join('\n')}\n${json}`;
}

/** Tells of what a runner of rules does. */
export function printEvent(
  context: CliContext,
  { options, event }: { options: GlobalOptions; event: RuleEvent },
): void {
  if (options.json === true) {
    printJson(context, eventJson(event));
    return;
  }
  switch (event.type) {
    case 'payment':
      context.out(`${describePayment(event.payment)}\n`);
      return;
    case 'skipped':
      context.out(`${event.rule}: ${event.count} missed and skipped\n`);
      return;
    case 'problem':
      context.err(`${event.rule}: ${printable(event.message)}\n`);
      return;
    case 'leg': {
      const { key, state, failure, amountMsat } = event.leg;
      const why = failure === undefined ? '' : ` (${printable(failure.message)})`;
      context.out(`${key}: ${formatMsat(amountMsat)} ${state}${why}\n`);
      return;
    }
  }
}

function eventJson(event: RuleEvent) {
  switch (event.type) {
    case 'payment':
      return { type: 'payment', ...paymentJson(event.payment) };
    case 'leg':
      return { type: 'leg', ...legJson(event.leg) };
    case 'skipped':
    case 'problem':
      return event;
  }
}

export function paymentJson({ amountMsat, ...rest }: RulePayment) {
  return { ...rest, amountMsat: amountMsat.toString() };
}

const statusText: Readonly<Record<RulePayment['status'], string>> = {
  planned: 'planned',
  held: 'held until somebody approves it',
  dry_run: 'would be paid (dry run)',
  repeated: 'planned before',
};

export function describePayment({ rule, occurrence, amountMsat, status }: RulePayment): string {
  return `${rule} ${occurrence}: ${formatMsat(amountMsat)} ${statusText[status]}`;
}

export function legJson({
  key,
  group,
  recipient,
  amountMsat,
  state,
  failure,
  heldFor,
  approvedBy,
  changedAtMs,
}: Leg) {
  return {
    key,
    group,
    recipient: recipient.address,
    amountMsat: amountMsat.toString(),
    state,
    changedAtMs,
    ...(failure === undefined ? {} : { failure: { code: failure.code, message: failure.message } }),
    ...(heldFor === undefined ? {} : { heldFor }),
    ...(approvedBy === undefined ? {} : { approvedBy }),
  };
}

export function describeLegs(legs: readonly Leg[]): string {
  const rows = legs
    .slice(0, 200)
    .map(({ key, recipient, amountMsat, state, failure, heldFor }) => [
      printable(key),
      shorten(printable(recipient.name ?? recipient.address)),
      formatMsat(amountMsat),
      state,
      shorten(printable(heldFor ?? failure?.message ?? '')),
    ]);
  return formatTable(['KEY', 'RECIPIENT', '>AMOUNT', 'STATE', 'REASON'], rows);
}
