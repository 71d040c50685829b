import type { NodeService } from '@rivulet/sdk';
import type { ReplicaStatus } from '@rivulet/storage';
import type { BackupFileStatus, PeerStorageStatus } from '../backup/index.js';
import type { RivuletNode } from '../driver/index.js';
import type { TowerStatus } from '../tower/client/towerStatus.js';
import type { DiskStatus } from './diskGuard.js';
import type { CheckReport } from './invariantChecker.js';

type Health = Awaited<ReturnType<NodeService['health']>>;
type Warning = Health['warnings'][number];

/** Where what is reported comes from; what a daemon does not have is absent. */
export interface HealthSources {
  readonly disk?: () => DiskStatus;
  readonly backups?: () => readonly BackupFileStatus[];
  readonly peerBackups?: () => readonly PeerStorageStatus[];
  readonly databaseCopy?: () => ReplicaStatus | undefined;
  readonly towers?: () => readonly TowerStatus[];
  readonly checks?: () => CheckReport | undefined;
}

/** How a node is, and what its owner has to see to. */
export function healthReport(node: RivuletNode, sources: HealthSources): Health {
  const { chainHealth: chain, reserveStatus: reserve } = node;
  const disk = sources.disk?.() ?? { state: 'ok', freeBytes: undefined, reserveHeld: false };
  const backups = sources.backups?.() ?? [];
  const peerBackups = sources.peerBackups?.() ?? [];
  const copy = sources.databaseCopy?.();
  const towers = sources.towers?.() ?? [];
  const checks = sources.checks?.();
  const warnings: Warning[] = [
    ...(chain.state === 'ok' ? [] : [{ code: 'chain' as const, message: chain.detail }]),
    ...diskWarnings(disk),
    ...reserveWarnings(reserve),
    ...backups.flatMap(({ path, error }): Warning[] =>
      error === undefined ? [] : [{ code: 'backup', message: `${path} is not up to date: ${error}` }],
    ),
    ...peerBackups.flatMap(({ nodeId, holdsMore }): Warning[] =>
      holdsMore
        ? [
            {
              code: 'peer_backup',
              message: `${nodeId} keeps a backup with channels that this node does not know: data was lost here; see docs/operations.md`,
            },
          ]
        : [],
    ),
    ...copyWarnings(copy),
    ...towers.flatMap(towerWarnings),
    ...(checks?.findings ?? []).map(({ message }): Warning => ({ code: 'check', message })),
    ...channelWarnings(node),
  ];
  return {
    ok: warnings.length === 0,
    warnings,
    chain: {
      backend: node.backend.kind,
      state: chain.state,
      sinceMs: chain.sinceMs,
      ...(chain.tipHeight === undefined ? {} : { tipHeight: chain.tipHeight }),
      height: node.blockHeight,
      detail: chain.detail,
      servers: (chain.servers ?? []).map(({ url, state, detail }) => ({ url, state, detail })),
    },
    disk: {
      state: disk.state,
      ...(disk.freeBytes === undefined ? {} : { freeBytes: disk.freeBytes }),
      reserveHeld: disk.reserveHeld,
    },
    reserve: { neededSat: reserve.neededSat, haveSat: reserve.haveSat },
    backups: backups.map(({ path, channels, writtenAtMs, error }) => ({
      path,
      channels,
      ...(writtenAtMs === undefined ? {} : { writtenAtMs }),
      ...(error === undefined ? {} : { error }),
    })),
    peerBackups: [...peerBackups],
    ...(copy === undefined
      ? {}
      : {
          databaseCopy: {
            folder: copy.path,
            state: copy.state,
            sinceMs: copy.since,
            sameDisk: copy.sameDisk,
            ...(copy.lastError === undefined ? {} : { error: copy.lastError }),
          },
        }),
    ...(checks === undefined ? {} : { checks: { atMs: checks.atMs, findings: [...checks.findings] } }),
  };
}

function diskWarnings({ state }: DiskStatus): Warning[] {
  switch (state) {
    case 'ok':
      return [];
    case 'low':
      return [{ code: 'disk', message: 'the disk is filling up: make room before payments have to stop' }];
    case 'stopped':
      return [
        {
          code: 'disk',
          message: 'the disk is (nearly) full: no new payments or channels until there is room',
        },
      ];
  }
}

function reserveWarnings({ neededSat, haveSat }: { neededSat: bigint; haveSat: bigint }): Warning[] {
  if (haveSat >= neededSat) return [];
  const message =
    `${neededSat} sat in confirmed coins should be kept for the fees of closes on chain, ${haveSat} are there: ` +
    'send some to an address of `rivulet address`';
  return [{ code: 'reserve', message }];
}

function copyWarnings(copy: ReplicaStatus | undefined): Warning[] {
  if (copy === undefined) return [];
  const { path, state, lastError, sameDisk } = copy;
  const warnings: Warning[] = [];
  if (state !== 'in_step') {
    const message = `the copy of the database in ${path} is ${state}${lastError === undefined ? '' : `: ${lastError}`}`;
    warnings.push({ code: 'database_copy', message });
  }
  if (sameDisk) {
    const message = `the copy of the database in ${path} is on the disk that it is a copy of: what takes that takes both`;
    warnings.push({ code: 'database_copy', message });
  }
  return warnings;
}

function towerWarnings({ towerId, state, lastError, channels }: TowerStatus): Warning[] {
  const warnings: Warning[] = [];
  if (state !== 'watching') {
    const message = `tower ${towerId} is ${state}${lastError === undefined ? '' : `: ${lastError.message}`}`;
    warnings.push({ code: 'tower', message });
  }
  const refused = channels.reduce((sum, channel) => sum + channel.refused, 0);
  const refusal = channels.find((channel) => channel.refusal !== undefined)?.refusal;
  if (refused > 0) {
    const message = `tower ${towerId} does not watch ${refused} revoked states, which it refused: ${refusal}`;
    warnings.push({ code: 'tower', message });
  }
  return warnings;
}

function channelWarnings({ turns, unprovenChannels }: RivuletNode): Warning[] {
  const stopped = [...turns.stopped].map(
    (key): Warning => ({
      code: 'stopped_channel',
      message: `channel ${key} was stopped by a fault of this node: report it (see the log), then restart`,
    }),
  );
  if (unprovenChannels.length === 0) return stopped;
  const message =
    `${unprovenChannels.length} channels were restored from a copy and their peers have not yet been heard: ` +
    'nothing of them is published until then; see `rivulet channels`';
  return [...stopped, { code: 'unproven_channel', message }];
}
