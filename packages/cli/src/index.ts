export type { CliContext } from './cliContext.js';
export { type ExitCode, exitCodes } from './cliError.js';
export { runCli } from './runCli.js';
