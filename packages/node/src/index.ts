export * from './config/index.js';
export { type Daemon, type DaemonReady, runDaemon } from './daemon.js';
export { DaemonError, type DaemonErrorCode } from './daemonError.js';
export * from './driver/index.js';
export { NetworkView } from './gossip/networkView.js';
export { createLogger, type Logger, silentLogger } from './logging/index.js';
