import type { IncomingMessage } from 'node:http';
import { RivuletError } from '@rivulet/core/bytes';
import type { Scheduler } from '../peers/scheduler.js';

/** A body that is not read to its end. */
export class BodyError extends RivuletError<'body_too_large' | 'body_timeout' | 'invalid_request'> {}

/**
 * Reads a request's body, of a bounded size and in a bounded time.
 * @throws BodyError `body_too_large`, `body_timeout`, `invalid_request` when it breaks off.
 */
export function readBody(
  request: IncomingMessage,
  limits: { maxBytes: number; timeoutMs: number; scheduler: Scheduler },
): Promise<Uint8Array> {
  const { maxBytes, timeoutMs, scheduler } = limits;
  const tooLarge = () => new BodyError('body_too_large', `a request may have at most ${maxBytes} bytes`);
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) return reject(tooLarge());
    const chunks: Uint8Array[] = [];
    let length = 0;
    const finish = (settle: () => void) => {
      cancel();
      request.off('data', onData).off('end', onEnd).off('close', onClose);
      settle();
    };
    const onData = (chunk: Uint8Array) => {
      length += chunk.length;
      if (length > maxBytes) finish(() => reject(tooLarge()));
      else chunks.push(chunk);
    };
    const onEnd = () => finish(() => resolve(Buffer.concat(chunks)));
    const onClose = () =>
      finish(() => reject(new BodyError('invalid_request', 'the request broke off in its body')));
    const cancel = scheduler.schedule(timeoutMs, () =>
      finish(() => reject(new BodyError('body_timeout', `the body did not come in ${timeoutMs} ms`))),
    );
    request.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}
