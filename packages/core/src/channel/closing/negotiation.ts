import type { StepDraft } from '../step.js';
import { negotiatedScripts } from './closingState.js';
import { startLegacyClosing } from './legacyClosing.js';
import { startSimpleClosing } from './simpleClosing.js';

/** Begins the negotiation of the closing fee, once both shutdowns are exchanged and nothing is pending. */
export function startNegotiationIfClean(draft: StepDraft): void {
  const scripts = negotiatedScripts(draft.channel);
  if (scripts === undefined) return;
  if (draft.channel.simpleClose) startSimpleClosing(draft, scripts);
  else startLegacyClosing(draft, scripts);
}
