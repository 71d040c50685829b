import type { InboundLimits } from './inboundGate.js';
import type { ConnectionLimits } from './peerConnection.js';
import type { ReconnectOptions } from './reconnector.js';

export interface PeerLimits extends ConnectionLimits, InboundLimits {
  /** For TCP's connection alone. */
  readonly connectTimeoutMs: number;
  readonly reconnect: ReconnectOptions;
  /** Two connections in opposite directions within this time count as simultaneous. */
  readonly simultaneousWindowMs: number;
}

export const defaultPeerLimits: PeerLimits = {
  connectTimeoutMs: 10_000,
  handshakeTimeoutMs: 15_000,
  pingIntervalMs: 30_000,
  pongTimeoutMs: 20_000,
  idleMessages: { capacity: 200, perSecond: 10 },
  maxOutboundBytes: 32 * 1024 * 1024,
  closeGraceMs: 2_000,
  maxInbound: 200,
  maxInboundPerAddress: 16,
  maxPendingHandshakes: 64,
  inboundRate: { capacity: 60, perSecond: 2 },
  reconnect: { firstDelayMs: 1_000, maximumDelayMs: 300_000, stableAfterMs: 60_000 },
  simultaneousWindowMs: 10_000,
};
