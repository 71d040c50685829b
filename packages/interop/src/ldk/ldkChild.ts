import { type LdkChildOptions, type LdkChildStarted, ldkChildMethods } from './ldkChildProtocol.js';
import { LdkError } from './ldkError.js';
import { LdkIpc } from './ldkIpc.js';
import { LdkNode } from './ldkNode.js';
import type { LdkBlock, LdkChain, LdkTip } from './ldkTypes.js';

/** Runs an LDK node as the child of a LdkProcess, whose chain and funds it uses. */
function main(): void {
  const tipListeners = new Set<() => void>();
  let node: LdkNode | undefined;

  const start = async (options: LdkChildOptions): Promise<LdkChildStarted> => {
    const chain: LdkChain = {
      tip: () => ipc.call('tip') as Promise<LdkTip>,
      block: (height) => ipc.call('block', height) as Promise<LdkBlock | undefined>,
      broadcast: (transactions) => ipc.call('broadcast', transactions) as Promise<void>,
      onTip(listener) {
        tipListeners.add(listener);
        return () => tipListeners.delete(listener);
      },
    };
    node = await LdkNode.start({
      options,
      chain,
      fund: (output) => ipc.call('fund', output) as Promise<Uint8Array>,
    });
    const paymentEvents = new Set([
      'paymentClaimable',
      'paymentClaimed',
      'paymentForwarded',
      'paymentPathSuccessful',
      'paymentSent',
      'other',
    ]);
    node.log.onEvent((event) => {
      if (!options.quiet || !paymentEvents.has(event.type)) ipc.note('event', event);
    });
    if (!options.quiet) node.log.onChange(() => ipc.note('changed', undefined));
    for (const event of node.log.events) ipc.note('event', event);
    return { pubkey: node.pubkey, port: node.port, walletScript: node.walletScript };
  };

  const ipc = new LdkIpc((message) => process.send?.(message), {
    async call(method, args) {
      if (method === 'start') return start(args[0] as LdkChildOptions);
      if (!node) throw new LdkError('ldk_not_running', 'the LDK node has not been started');
      const name = ldkChildMethods.find((each) => each === method);
      if (!name) throw new LdkError('ldk_refused', `the LDK process has no method ${method}`);
      return (node[name] as (...args: readonly unknown[]) => Promise<unknown>).apply(node, [...args]);
    },
    note(name) {
      if (name === 'tip') for (const listener of [...tipListeners]) listener();
    },
  });
  process.on('message', (message) => ipc.receive(message));
  // Without its parent the node has neither chain nor purpose.
  process.on('disconnect', () => process.exit(0));
}

main();
