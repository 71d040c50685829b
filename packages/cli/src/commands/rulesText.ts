import type { RuleState, StoredRule } from '@rivulet/keysend/automation';
import { formatTime, printable } from '../format/text.js';

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
