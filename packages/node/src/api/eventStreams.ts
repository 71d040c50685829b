import type { ServerResponse } from 'node:http';
import { type NodeEvent, type NodeService, nodeEvent } from '@rivulet/sdk';
import { z } from 'zod';
import type { Logger } from '../logging/logger.js';
import type { CancelTimer, Scheduler } from '../peers/scheduler.js';
import { RequestError } from './apiServerError.js';

export interface EventStreamLimits {
  readonly maxStreams: number;
  /** How much may wait for a reader before it is told that it lags, and let go. */
  readonly maxBufferedBytes: number;
  readonly heartbeatMs: number;
}

const heartbeatLine = '{"type":"heartbeat"}\n';
const laggedLine = '{"type":"lagged"}\n';

/** The readers of events: each event is encoded once and written to all, with a bounded buffer for each. */
export class EventStreams {
  readonly #given: {
    service: Pick<NodeService, 'subscribe'>;
    scheduler: Scheduler;
    limits: EventStreamLimits;
    logger: Logger;
  };
  readonly #readers = new Set<ServerResponse>();
  #unsubscribe: (() => void) | undefined;
  #cancelHeartbeat: CancelTimer = () => {};

  constructor(given: {
    service: Pick<NodeService, 'subscribe'>;
    scheduler: Scheduler;
    limits: EventStreamLimits;
    logger: Logger;
  }) {
    this.#given = given;
  }

  /** @throws RequestError `too_many_streams` */
  add(response: ServerResponse): void {
    const { service, limits } = this.#given;
    if (this.#readers.size >= limits.maxStreams) {
      throw new RequestError('too_many_streams', `${limits.maxStreams} programs read the events already`);
    }
    response.shouldKeepAlive = false;
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    response.flushHeaders();
    this.#readers.add(response);
    response.once('close', () => this.#remove(response));
    if (this.#unsubscribe === undefined) {
      this.#unsubscribe = service.subscribe((event) => this.#publish(event));
      this.#scheduleHeartbeat();
    }
  }

  /** Ends every stream in order. */
  close(): void {
    for (const reader of [...this.#readers]) {
      reader.end();
      this.#remove(reader);
    }
  }

  #remove(reader: ServerResponse): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#cancelHeartbeat();
  }

  #scheduleHeartbeat(): void {
    this.#cancelHeartbeat = this.#given.scheduler.schedule(this.#given.limits.heartbeatMs, () => {
      this.#write(heartbeatLine);
      if (this.#readers.size > 0) this.#scheduleHeartbeat();
    });
  }

  #publish(event: NodeEvent): void {
    const encoded = z.safeEncode(nodeEvent, event);
    if (encoded.success) this.#write(`${JSON.stringify(encoded.data)}\n`);
    else this.#given.logger.error({ err: encoded.error, event: event.type }, 'an event breaks the contract');
  }

  #write(line: string): void {
    for (const reader of [...this.#readers]) {
      if (reader.writableLength <= this.#given.limits.maxBufferedBytes) {
        reader.write(line);
        continue;
      }
      reader.end(laggedLine);
      this.#remove(reader);
      // What it does not read in this time is dropped.
      const cancel = this.#given.scheduler.schedule(this.#given.limits.heartbeatMs, () => reader.destroy());
      reader.once('close', cancel);
    }
  }
}
