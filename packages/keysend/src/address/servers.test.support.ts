import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import type { Schedule } from '../timing/schedule.js';

const open: Server[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

/** A server on this machine, closed after the test. @returns host and port. */
export async function serve(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(answer);
  open.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers with JSON by path; 404 for the others. */
export function serveJson(documents: Readonly<Record<string, unknown>>): Promise<string> {
  return serve((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const found = Object.hasOwn(documents, path);
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ? documents[path] : { status: 'ERROR' }));
  });
}

/** Timers that fire when the test says so. */
export function manualTimers(): { schedule: Schedule; fire(): void; readonly pending: number } {
  const timers = new Set<() => void>();
  return {
    schedule: (_delayMs, run) => {
      timers.add(run);
      return () => timers.delete(run);
    },
    fire() {
      for (const run of [...timers]) {
        timers.delete(run);
        run();
      }
    },
    get pending() {
      return timers.size;
    },
  };
}
