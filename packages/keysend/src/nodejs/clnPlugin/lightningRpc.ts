import { connect } from 'node:net';
import { JsonSplitter } from './jsonSplitter.js';

/** One call of lightningd's own JSON-RPC, over its Unix socket. @throws Error */
export function callLightningd(
  socketPath: string,
  method: string,
  params: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const splitter = new JsonSplitter();
    const id = `rivulet-keysends:${method}#1`;
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n\n`));
    socket.on('data', (text: string) => {
      try {
        for (const message of splitter.push(text)) {
          const answer = message as { id?: unknown; result?: unknown; error?: { message?: unknown } };
          if (answer.id !== id) continue;
          socket.destroy();
          if (answer.error === undefined) resolve(answer.result);
          else reject(new Error(`lightningd refused ${method}: ${String(answer.error.message)}`));
        }
      } catch (error) {
        socket.destroy();
        reject(error);
      }
    });
    socket.on('error', reject);
    socket.on('close', () =>
      reject(new Error(`lightningd ended the connection before it answered ${method}`)),
    );
  });
}
