import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import {
  type HttpAnswer,
  type HttpRequest,
  jsonAnswer,
  type LoopbackServer,
  startLoopbackServer,
  textAnswer,
} from './loopbackServer.js';
import type { RegtestChain } from './regtestChain.js';
import { RpcError, rpcCodes } from './rpcError.js';
import { rpcMethods } from './rpcMethods.js';
import { RpcParameters } from './rpcParameters.js';

/** The largest block in hex, and some. */
const maxBodyBytes = 9_000_000;
const maxBatch = 1000;

export interface RpcServerOptions {
  readonly chain: RegtestChain;
  /** 0 or nothing: a free one. */
  readonly port?: number | undefined;
  /** Default: `__cookie__` with a random password. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Where `user:password` is written, for the owner's eyes only, and removed again at the end. */
  readonly cookiePath?: string | undefined;
  /** Called on the method `stop`. */
  readonly onStop?: (() => void) | undefined;
}

export interface RpcServer extends LoopbackServer {
  readonly user: string;
  readonly password: string;
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function errorAnswer(id: unknown, error: RpcError): Answer {
  const { rpcCode: code, message } = error;
  let status = 500;
  if (code === rpcCodes.invalidRequest) status = 400;
  if (code === rpcCodes.methodNotFound) status = 404;
  return { status, body: { result: null, error: { code, message }, id: id ?? null } };
}

/** Bitcoin Core's JSON-RPC for a regtest chain, on 127.0.0.1, behind a password or a cookie. */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { chain, cookiePath } = options;
  const user = options.user ?? '__cookie__';
  const password = options.password ?? randomBytes(32).toString('hex');
  const expected = digest(`Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`);
  const startedAt = Date.now();

  async function call(request: unknown, signal: AbortSignal): Promise<Answer> {
    const isObject = typeof request === 'object' && request !== null && !Array.isArray(request);
    const { method, params, id } = (isObject ? request : {}) as {
      method?: unknown;
      params?: unknown;
      id?: unknown;
    };
    try {
      if (!isObject || typeof method !== 'string') {
        throw new RpcError(rpcCodes.invalidRequest, 'Invalid Request object');
      }
      const found = rpcMethods.get(method);
      if (found === undefined) throw new RpcError(rpcCodes.methodNotFound, 'Method not found');
      const context = {
        chain,
        params: new RpcParameters(params, found.names),
        signal,
        startedAt,
        stop: () => options.onStop?.(),
      };
      const result = await found.run(context);
      return { status: 200, body: { result, error: null, id: id ?? null } };
    } catch (error) {
      if (error instanceof RpcError) return errorAnswer(id, error);
      const message = error instanceof Error ? error.message : 'unknown error';
      return errorAnswer(id, new RpcError(rpcCodes.internal, message));
    }
  }

  async function handle(request: HttpRequest): Promise<HttpAnswer> {
    if (request.method !== 'POST') return textAnswer(405, 'JSONRPC server handles only POST requests');
    if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
      const headers = { 'www-authenticate': 'Basic realm="jsonrpc"' };
      return { ...textAnswer(401, 'wrong user or password'), headers };
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(request.body.toString('utf8'));
    } catch {
      const { body } = errorAnswer(null, new RpcError(rpcCodes.parse, 'Parse error'));
      return jsonAnswer(500, body);
    }
    if (Array.isArray(parsed)) {
      if (parsed.length > maxBatch) return textAnswer(413, `a batch has at most ${maxBatch} calls`);
      const answers: object[] = [];
      for (const one of parsed) answers.push((await call(one, request.signal)).body);
      return jsonAnswer(200, answers);
    }
    const { status, body } = await call(parsed, request.signal);
    return jsonAnswer(status, body);
  }

  const server = await startLoopbackServer({ port: options.port, maxBodyBytes, handle });
  if (cookiePath !== undefined) {
    rmSync(cookiePath, { force: true });
    writeFileSync(cookiePath, `${user}:${password}`, { mode: 0o600, flag: 'wx' });
  }
  return {
    ...server,
    user,
    password,
    close: async () => {
      if (cookiePath !== undefined) rmSync(cookiePath, { force: true });
      await server.close();
    },
  };
}
