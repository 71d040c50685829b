import type { IncomingMessage } from 'node:http';
import type { Scheduler } from '../peers/scheduler.js';
import { RequestError } from './apiServerError.js';

/**
 * Reads a request's body, of a bounded size and in a bounded time.
 * @throws RequestError `body_too_large`, `body_timeout`, `invalid_request` when it breaks off.
 */
export function readBody(
  request: IncomingMessage,
  limits: { maxBytes: number; timeoutMs: number; scheduler: Scheduler },
): Promise<Uint8Array> {
  const { maxBytes, timeoutMs, scheduler } = limits;
  const tooLarge = () => new RequestError('body_too_large', `a request may have at most ${maxBytes} bytes`);
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
      finish(() => reject(new RequestError('invalid_request', 'the request broke off in its body')));
    const cancel = scheduler.schedule(timeoutMs, () =>
      finish(() => reject(new RequestError('body_timeout', `the body did not come in ${timeoutMs} ms`))),
    );
    request.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}
