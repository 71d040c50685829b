import type { EndpointName, RequestOf, ResponseOf } from './endpoints.js';
import type { NodeEvent } from './nodeEvent.js';

/**
 * What stands behind the API: one method for each endpoint. A method rejects with a RivuletError
 * (ServiceError, PeerError…) to tell the caller; anything else is an internal error that is logged.
 * `stop` resolves first and shuts the daemon down afterwards.
 */
export type NodeService = {
  readonly [N in EndpointName]: (request: RequestOf<N>) => Promise<ResponseOf<N>>;
} & {
  /** Calls the listener for every event until the returned function is called. */
  subscribe(listener: (event: NodeEvent) => void): () => void;
};
