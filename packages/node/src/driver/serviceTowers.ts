import { type NodeService, ServiceError, type TowerInfo } from '@rivulet/sdk';
import type { TowerClient } from '../tower/client/towerClient.js';
import type { TowerStatus } from '../tower/client/towerStatus.js';
import type { TowerServerStatus } from '../tower/server/towerServer.js';

export interface TowerServices {
  /** What has towers watch for us. */
  readonly towers?: TowerClient | undefined;
  /** Our own tower, where one runs in this daemon. */
  readonly towerServer?: (() => TowerServerStatus) | undefined;
}

/** The endpoints about watchtowers. */
export function towerService({
  towers,
  towerServer,
}: TowerServices): Pick<NodeService, 'towers' | 'addTower' | 'removeTower' | 'towerServer'> {
  const client = (): TowerClient => {
    if (towers !== undefined) return towers;
    throw new ServiceError('not_supported', 'this node has no part for watchtowers');
  };
  return {
    towers: async () => ({ towers: (towers?.list() ?? []).map(describe) }),
    addTower: async ({ uri }) => describe(await client().add(uri)),
    removeTower: async ({ towerId }) => {
      await client().remove(towerId);
      return { towerId };
    },
    towerServer: async () => (towerServer === undefined ? {} : { server: towerServer() }),
  };
}

/** Commitment numbers have 48 bits: each is a number of JavaScript. */
function describe({ channels, ...tower }: TowerStatus): TowerInfo {
  return {
    ...tower,
    proofs: [...tower.proofs],
    channels: channels.map(({ fromCommitment, coveredTo, revokedTo, ...channel }) => ({
      ...channel,
      fromCommitment: Number(fromCommitment),
      ...(coveredTo === undefined ? {} : { coveredTo: Number(coveredTo) }),
      ...(revokedTo === undefined ? {} : { revokedTo: Number(revokedTo) }),
    })),
  };
}
