import { z } from 'zod';
import { type EndpointName, endpoints, type ResponseOf } from './endpoints.js';
import { type NodeEvent, nodeEvent } from './nodeEvent.js';

/** An answer as the JSON of the wire, for example to print it. */
export function encodeResponse<N extends EndpointName>(name: N, response: ResponseOf<N>): unknown {
  return z.encode(endpoints[name].response as z.ZodType, response);
}

/** An event as the JSON of the wire. */
export function encodeEvent(event: NodeEvent): unknown {
  return z.encode(nodeEvent, event);
}
