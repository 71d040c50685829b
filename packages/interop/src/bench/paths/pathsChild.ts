import { LdkError } from '../../ldk/ldkError.js';
import { LdkIpc } from '../../ldk/ldkIpc.js';
import { LdkPaths } from './ldkPaths.js';
import type { PathQuery } from './pathQuery.js';
import { RivuletPaths } from './rivuletPaths.js';

/** Finds paths for the parent, by the implementation that the argument names. */
function main(): void {
  const paths = process.argv[2] === 'ldk' ? new LdkPaths() : new RivuletPaths();
  const ipc = new LdkIpc((message) => process.send?.(message), {
    async call(method, [argument]) {
      if (method === 'load') return paths.load(argument as string);
      if (method === 'find') return paths.find(argument as readonly PathQuery[]);
      throw new LdkError('ldk_refused', `there is no method ${method}`);
    },
    note() {},
  });
  process.on('message', (message) => ipc.receive(message));
  process.on('disconnect', () => process.exit(0));
}

main();
