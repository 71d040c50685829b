import { RivuletError } from '@rivulet/core/bytes';

export type ConfigErrorCode =
  | 'config_key_unknown'
  | 'config_value_invalid'
  | 'config_file_unreadable'
  | 'config_file_invalid'
  /** Real money wants a word of consent. */
  | 'config_mainnet_refused';

/** A setting that cannot be used. The message names the key, where it comes from and what is allowed. */
export class ConfigError extends RivuletError<ConfigErrorCode> {
  /** With dots, for example `listen.port`; absent for a fault of the file as a whole. */
  readonly key: string | undefined;

  constructor(code: ConfigErrorCode, message: string, given: { key?: string; cause?: unknown } = {}) {
    super(code, message, { cause: given.cause });
    this.key = given.key;
  }
}
