import { bitcoindBackend } from '@rivulet/chain';
import { initCrypto } from '@rivulet/core/crypto';
import type { ReceivePolicy } from '@rivulet/core/payment';
import { LdkIpc } from '../ldk/ldkIpc.js';
import { type RivuletHost, startRivuletHost } from './rivuletHost.js';
import type { RivuletApi } from './rivuletPeer.js';
import type { RivuletChildOptions, RivuletChildStarted } from './rivuletProcess.js';
import { InteropError } from './waitUntil.js';

/** Runs a Rivulet as the child of a RivuletProcess, on the chain that its parent serves as bitcoind. */
function main(): void {
  let host: RivuletHost | undefined;
  let changed = false;

  const start = async ({ rpc, ...options }: RivuletChildOptions): Promise<RivuletChildStarted> => {
    await initCrypto();
    host = await startRivuletHost({
      options,
      backend: bitcoindBackend(rpc),
      onEvent: (event) => ipc.note('event', event),
      onChange: () => {
        if (changed) return;
        changed = true;
        setImmediate(() => {
          changed = false;
          ipc.note('changed', undefined);
        });
      },
      onLog: (line) => ipc.note('log', line),
    });
    return { nodeId: host.node.nodeId, port: host.port };
  };

  const ipc = new LdkIpc((message) => process.send?.(message), {
    async call(method, args) {
      if (method === 'start') return start(args[0] as RivuletChildOptions);
      if (host === undefined) throw new InteropError('interop_unexpected', 'Rivulet has not been started');
      if (method === 'halt') return host.node.stop();
      if (method === 'setReceivePolicy') {
        Object.assign(host.receive, args[0] as ReceivePolicy);
        return undefined;
      }
      const call = host.service[method as keyof RivuletApi] as (request: unknown) => Promise<unknown>;
      return call(args[0]);
    },
    note: () => {},
  });
  process.on('message', (message) => ipc.receive(message));
  // Without its parent the node has neither chain nor purpose.
  process.on('disconnect', () => process.exit(0));
}

main();
