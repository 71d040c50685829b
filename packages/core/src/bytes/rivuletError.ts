/**
 * The base of every typed error in Rivulet: `code` is stable and machine-readable, the message says
 * what went wrong, where, and what to do. Never put a secret in either.
 */
export abstract class RivuletError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}
