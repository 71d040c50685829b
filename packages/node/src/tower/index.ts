export { TowerClient, type TowerClientOptions } from './client/towerClient.js';
export { type RunningTower, runTower, startConfiguredTower, type TowerReady } from './runTower.js';
export { TowerError, type TowerErrorCode } from './towerError.js';
