import { RivuletError } from '@rivulet/core/bytes';
import { LdkError, type LdkErrorCode } from './ldkError.js';

type IpcMessage =
  | { kind: 'call'; id: number; method: string; args: readonly unknown[] }
  | { kind: 'value'; id: number; value: unknown }
  | { kind: 'error'; id: number; code: string; message: string }
  | { kind: 'note'; name: string; value: unknown };

export interface IpcHandlers {
  /** Answers the other side's call. */
  call: (method: string, args: readonly unknown[]) => Promise<unknown>;
  /** Takes what needs no answer. */
  note: (name: string, value: unknown) => void;
}

/**
 * Calls and notes between a process and its child, in both directions. Forked with `serialization: 'advanced'`,
 * structured clone carries Uint8Array, bigint and Map as they are.
 */
export class LdkIpc {
  readonly #send: (message: IpcMessage) => void;
  readonly #handlers: IpcHandlers;
  readonly #pending = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #nextId = 1;
  #closed: LdkError | undefined;

  constructor(send: (message: object) => void, handlers: IpcHandlers) {
    this.#send = send;
    this.#handlers = handlers;
  }

  call(method: string, ...args: readonly unknown[]): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#send({ kind: 'call', id, method, args });
    });
  }

  note(name: string, value: unknown): void {
    if (!this.#closed) this.#send({ kind: 'note', name, value });
  }

  /** To be called with every message of the other side. */
  receive(message: unknown): void {
    const received = message as IpcMessage;
    switch (received.kind) {
      case 'call':
        void this.#answer(received);
        return;
      case 'note':
        this.#handlers.note(received.name, received.value);
        return;
      case 'value':
        this.#take(received.id)?.resolve(received.value);
        return;
      case 'error':
        this.#take(received.id)?.reject(new LdkError(received.code as LdkErrorCode, received.message));
        return;
    }
  }

  /** Rejects all calls under way and to come. */
  close(reason: LdkError): void {
    this.#closed = reason;
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }

  #take(id: number) {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  async #answer({ id, method, args }: Extract<IpcMessage, { kind: 'call' }>): Promise<void> {
    let reply: IpcMessage;
    try {
      reply = { kind: 'value', id, value: await this.#handlers.call(method, args) };
    } catch (error) {
      const code = error instanceof RivuletError ? error.code : 'ldk_process';
      reply = { kind: 'error', id, code, message: error instanceof Error ? error.message : String(error) };
    }
    if (!this.#closed) this.#send(reply);
  }
}
