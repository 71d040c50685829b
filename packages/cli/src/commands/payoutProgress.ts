import type { PayoutProgress } from '@rivulet/keysend/automation';
import type { CliContext, GlobalOptions } from '../cliContext.js';

/** What takes no longer says nothing. */
const quietMs = 2_000;
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
  let last: PayoutProgress | undefined;
  const tell = (): void => {
    toldMs = now();
    const text = last === undefined ? 'paying…' : describe(last);
    if (context.errIsTty) {
      context.err(`\r${text.padEnd(width)}`);
      width = text.length;
    } else context.err(`${text}\n`);
  };
  // Payments that wait for another try report nothing: whoever looks on sees that it goes on.
  let cancel = context.schedule(quietMs, tick);
  function tick(): void {
    if (now() - toldMs >= Math.min(stepMs, quietMs)) tell();
    cancel = context.schedule(stepMs, tick);
  }
  return {
    show(progress) {
      last = progress;
      if (now() - toldMs >= stepMs) tell();
    },
    end() {
      cancel();
      if (width > 0) context.err(`\r${' '.repeat(width)}\r`);
    },
  };
}

function describe({ done, total, perSecond }: PayoutProgress): string {
  if (perSecond <= 0) return `${done} of ${total} done`;
  const left = Math.ceil((total - done) / perSecond);
  return `${done} of ${total} done, ${Math.round(perSecond)} a second, about ${left} s left`;
}
