import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Delivered {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
  readonly id: string;
}

/** What the server does with a delivery: a status, nothing at all, no HTTP, or hanging up. */
export type Answer = number | 'hang' | 'garbage' | 'hang up' | 'endless' | { readonly retryAfter: number };

/** A real server on loopback that is told of deliveries, and answers as a test says. */
export class WebhookServer {
  readonly delivered: Delivered[] = [];
  /** Used up one by one; 200 afterwards. */
  answers: Answer[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) chunks.push(chunk as Uint8Array);
      const headers = request.headers as Record<string, string | undefined>;
      const body = Uint8Array.from(Buffer.concat(chunks));
      this.delivered.push({ headers, body, id: headers['rivulet-delivery'] ?? '' });
      answerWith(this.answers.shift() ?? 200, response);
    });
  }

  static async start(): Promise<WebhookServer> {
    const server = new WebhookServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  /** The numbers of the payments, in the order in which they came. */
  get numbers(): number[] {
    return this.delivered.map(({ id }) => Number(id.split('-')[1]));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function answerWith(answer: Answer, response: ServerResponse): void {
  if (typeof answer === 'number') {
    response.writeHead(answer, { location: 'http://127.0.0.1:1/elsewhere' }).end('x'.repeat(10_000));
  } else if (typeof answer === 'object') {
    response.writeHead(429, { 'retry-after': String(answer.retryAfter) }).end();
  } else if (answer === 'garbage') {
    response.socket?.end('\u0000\u0001 not HTTP \r\n\r\n');
  } else if (answer === 'hang up') {
    response.socket?.destroy();
  } else if (answer === 'endless') {
    response.writeHead(200);
    response.write('x');
  }
}
