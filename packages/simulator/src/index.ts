export { readGraphFile } from './graphFile.js';
export { type HostilityKind, hostilityKinds } from './hostility.js';
export type { SimulationOptions } from './options.js';
export { Random } from './random.js';
export { type SimulationResult, simulate, simulateWithPauses } from './simulate.js';
export { SimulationError } from './simulationError.js';
export type { PaymentStatistics } from './statistics.js';
export { generateTopology, type Topology, type TopologyChannel, type TopologyOptions } from './topology.js';
