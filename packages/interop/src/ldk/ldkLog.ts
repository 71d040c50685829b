import * as ldk from 'lightningdevkit';
import { freeLogRecord } from './ldkRuntime.js';
import type { LdkLogLevel } from './ldkTypes.js';

const levels: Readonly<Record<LdkLogLevel, ldk.Level>> = {
  trace: ldk.Level.LDKLevel_Trace,
  debug: ldk.Level.LDKLevel_Debug,
  info: ldk.Level.LDKLevel_Info,
  warn: ldk.Level.LDKLevel_Warn,
  error: ldk.Level.LDKLevel_Error,
};

/** Keeps the last lines of LDK's log, for the error of a test that failed. */
export class LdkLog {
  readonly lines: string[] = [];
  readonly #from: ldk.Level;

  constructor(level: LdkLogLevel = 'info') {
    this.#from = levels[level];
  }

  asLogger(): ldk.Logger {
    return ldk.Logger.new_impl({
      log: (record) => {
        if (record.get_level() >= this.#from) {
          this.lines.push(`${record.get_module_path()}: ${record.get_args()}`);
          if (this.lines.length > 200) this.lines.splice(0, 100);
        }
        freeLogRecord(record);
      },
    });
  }
}
