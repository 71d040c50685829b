import type { PayoutProgress } from '@rivulet/keysend/automation';
import type { CliContext, GlobalOptions } from '../cliContext.js';

/** Between two lines that tell how far it is. */
const everyMs = 1_000;
/** Where no person watches, a line now and then is enough. */
const everyUnwatchedMs = 30_000;

/** Tells on stderr how far a payout has come. */
export function printProgress(
  context: CliContext,
  { options, now }: { options: GlobalOptions; now: () => number },
): { show: (progress: PayoutProgress) => void; end: () => void } {
  if (options.json === true) return { show() {}, end() {} };
  let toldMs = now();
  let width = 0;
  const stepMs = context.errIsTty ? everyMs : everyUnwatchedMs;
  return {
    show({ done, total, perSecond }) {
      if (now() - toldMs < stepMs) return;
      toldMs = now();
      const left = perSecond > 0 ? Math.ceil((total - done) / perSecond) : 0;
      const text = `${done} of ${total} done, ${Math.round(perSecond)} a second, about ${left} s left`;
      if (context.errIsTty) {
        context.err(`\r${text.padEnd(width)}`);
        width = text.length;
      } else context.err(`${text}\n`);
    },
    end() {
      if (width > 0) context.err(`\r${' '.repeat(width)}\r`);
    },
  };
}
