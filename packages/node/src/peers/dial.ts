import { connect, type Socket } from 'node:net';
import { formatAddress } from './ipAddress.js';
import { PeerError, type PeerErrorCode } from './peerError.js';
import type { Scheduler } from './scheduler.js';

const meanings: Readonly<Record<string, readonly [PeerErrorCode, string]>> = {
  ECONNREFUSED: ['connection_refused', 'nothing listens there: is the node running, is the port right?'],
  ENOTFOUND: ['unknown_host', 'there is no host of that name'],
  EAI_AGAIN: ['unknown_host', 'the name could not be resolved: is this machine online?'],
  EHOSTUNREACH: ['host_unreachable', 'there is no route to that host'],
  ENETUNREACH: ['host_unreachable', 'there is no route to that network'],
  ETIMEDOUT: ['connect_timeout', 'no answer in time'],
};

/** Opens a TCP connection. @throws PeerError that says what to look at. */
export function dial(given: {
  host: string;
  port: number;
  timeoutMs: number;
  scheduler: Scheduler;
}): Promise<Socket> {
  const { host, port, timeoutMs, scheduler } = given;
  const where = formatAddress(host, port);
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const fail = (error: PeerError) => {
      cancel();
      // A late error of a socket that nobody waits for must not end the process.
      socket.removeAllListeners().on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const cancel = scheduler.schedule(timeoutMs, () =>
      fail(new PeerError('connect_timeout', `cannot connect to ${where}: no answer in ${timeoutMs} ms`)),
    );
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const [code, meaning] = meanings[error.code ?? ''] ?? ['socket_error', error.code ?? error.message];
      fail(new PeerError(code, `cannot connect to ${where}: ${meaning}`, { cause: error }));
    });
    socket.once('connect', () => {
      cancel();
      socket.removeAllListeners();
      resolve(socket);
    });
  });
}
