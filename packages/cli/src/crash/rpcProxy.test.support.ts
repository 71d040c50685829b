import { createServer, request, type Server } from 'node:http';

/** bitcoind's RPC as a daemon sees it: transactions that it publishes can get lost on the way. */
export class RpcProxy {
  readonly url: string;
  readonly #server: Server;
  #lose: (() => void) | undefined;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  static async start(target: string): Promise<RpcProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const proxy = new RpcProxy(server, `http://127.0.0.1:${port}`);
    server.on('request', async (from, to) => {
      const parts: Buffer[] = [];
      for await (const part of from) parts.push(part as Buffer);
      const body = Buffer.concat(parts);
      if (proxy.#lose !== undefined && body.includes('sendrawtransaction')) {
        proxy.#lose();
        from.socket.destroy();
        return;
      }
      const onward = request(target, { method: 'POST', headers: from.headers }, (answer) => {
        to.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(to);
      });
      onward.on('error', () => to.destroy());
      to.on('close', () => onward.destroy());
      onward.end(body);
    });
    return proxy;
  }

  /** Loses every transaction from now on; resolves when the first one is lost. */
  loseTransactions(): Promise<void> {
    return new Promise((resolve) => {
      this.#lose = resolve;
    });
  }

  passTransactions(): void {
    this.#lose = undefined;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
