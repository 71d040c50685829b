import { usageError } from '../cliError.js';

/** The port of Lightning nodes, where none is given. */
const defaultPort = 9735;

/** A node id as a person types it, in lower case. @throws CliError that says what is wrong with it. */
export function parseNodeId(text: string): string {
  if (text.includes('@')) throw usageError('give the node id alone here: the part before the @');
  if (!/^[0-9a-f]*$/i.test(text)) {
    throw usageError(
      `${JSON.stringify(text.slice(0, 80))} is no node id: it has a character that is no hex digit`,
    );
  }
  if (text.length !== 66) {
    throw usageError(
      `a node id has 66 hex digits, and this one has ${text.length}: was it cut off when copied?`,
    );
  }
  if (!/^0[23]/.test(text))
    throw usageError('a node id starts with 02 or 03; this is some other key or hash');
  return text.toLowerCase();
}

export interface NodeAddress {
  readonly nodeId: string;
  readonly host: string;
  readonly port: number;
}

/** `<node id>@<host>[:<port>]`, with brackets around an IPv6 address. @throws CliError */
export function parseNodeAddress(text: string): NodeAddress {
  const at = text.indexOf('@');
  if (at < 0)
    throw usageError('give the address too: <node id>@<host>:<port>, for example 02ab…@127.0.0.1:9735');
  const nodeId = parseNodeId(text.slice(0, at));
  const address = text.slice(at + 1);
  const [, bracketed, plain, portText] =
    /^(?:\[([0-9a-f:.%]+)\]|([^\s:/[\]]+))(?::(\d+))?$/i.exec(address) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) {
    throw usageError(
      `${JSON.stringify(address.slice(0, 80))} is no address: give <host>:<port>, with brackets around an IPv6 address`,
    );
  }
  const port = portText === undefined ? defaultPort : Number(portText);
  if (port < 1 || port > 65_535) throw usageError(`${portText} is no port: ports go from 1 to 65535`);
  return { nodeId, host, port };
}

/** A node id with or without an address. @throws CliError */
export function parseNode(text: string): { nodeId: string; host?: string; port?: number } {
  return text.includes('@') ? parseNodeAddress(text) : { nodeId: parseNodeId(text) };
}

/** What `connect` of another node takes. */
export function formatNodeAddress({ nodeId, host, port }: NodeAddress): string {
  return `${nodeId}@${host.includes(':') ? `[${host}]` : host}:${port}`;
}
