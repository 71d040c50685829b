import { bytesToHex } from '@rivulet/core/bytes';
import * as ldk from 'lightningdevkit';
import { freePersistArguments, isNull } from './ldkRuntime.js';
import type { LdkStore } from './ldkStore.js';

const completed = ldk.ChannelMonitorUpdateStatus.LDKChannelMonitorUpdateStatus_Completed;

/** Names a channel's files: its funding txid (internal byte order) and output index. */
function monitorKey(outpoint: ldk.OutPoint): string {
  return `${bytesToHex(outpoint.get_txid())}-${outpoint.get_index()}`;
}

/**
 * Writes monitors before LDK goes on: updates are appended where there is one, else the monitor is
 * replaced. `isActive` tells callbacks of a node that has been stopped, whose writes must not count.
 */
export function createPersister(store: LdkStore, isActive: () => boolean): ldk.Persist {
  return ldk.Persist.new_impl({
    persist_new_channel(outpoint, monitor) {
      if (isActive()) store.writeMonitor(monitorKey(outpoint), monitor.write());
      freePersistArguments(outpoint, monitor);
      return completed;
    },
    update_persisted_channel(outpoint, update, monitor) {
      if (isActive()) {
        if (isNull(update)) store.writeMonitor(monitorKey(outpoint), monitor.write());
        else store.appendUpdate(monitorKey(outpoint), update.write());
      }
      freePersistArguments(outpoint, update, monitor);
      return completed;
    },
    // A resolved channel's monitor stays: it is small, and loading it again does no harm.
    archive_persisted_channel(outpoint) {
      freePersistArguments(outpoint);
    },
  });
}
