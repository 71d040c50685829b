/** Where receiving tells what it does: a part of pino's. */
export interface ReceivingLogger {
  info(data: Readonly<Record<string, unknown>>, message: string): void;
  warn(data: Readonly<Record<string, unknown>>, message: string): void;
}

export const silentLogger: ReceivingLogger = { info() {}, warn() {} };
