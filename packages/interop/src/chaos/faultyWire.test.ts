import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FaultyWire } from './faultyWire.js';

describe('a wire on which all may go wrong', () => {
  let server: Server;
  let wire: FaultyWire;
  let far: Promise<Socket>;
  let near: Socket;

  beforeEach(async () => {
    server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    far = once(server, 'connection').then(([socket]) => socket as Socket);
    server.on('connection', (socket) => socket.on('error', () => {}));
    const { port } = server.address() as { port: number };
    wire = await FaultyWire.start(() => port);
    near = connect({ port: wire.port, host: '127.0.0.1', allowHalfOpen: true });
    near.on('error', () => {});
  });
  afterEach(() => {
    near.destroy();
    wire.close();
    server.close();
  });

  const received = async (socket: Socket, bytes: number): Promise<string> => {
    let text = '';
    for await (const part of socket) {
      text += String(part);
      if (text.length >= bytes) break;
    }
    return text;
  };

  test('carries both ways, in order, also while it is slow', async () => {
    const socket = await far;
    wire.delayMs = 20;
    near.write('one');
    near.write('two');
    expect(await received(socket, 6)).toBe('onetwo');
  });

  test('cuts in the middle of what is written', async () => {
    const socket = await far;
    let text = '';
    socket.on('data', (part) => {
      text += String(part);
    });
    wire.cutAfter(4);
    near.write('onetwo');
    // A reset, or an end: which of them is seen first is the system's choice.
    await new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
    expect('onet'.startsWith(text)).toBe(true);
  });

  test('ends one direction and keeps the other', async () => {
    const socket = await far;
    const ended = once(near.resume(), 'end');
    wire.halfClose('near');
    await ended;
    near.write('still here');
    expect(await received(socket, 10)).toBe('still here');
  });

  test('refuses new connections until it is calm', async () => {
    wire.refusing = true;
    const refused = connect(wire.port, '127.0.0.1');
    refused.on('error', () => {});
    await new Promise((resolve) => refused.once('close', resolve));
    wire.calm();
    const again = once(server, 'connection');
    const taken = connect(wire.port, '127.0.0.1');
    await again;
    taken.destroy();
  });
});
