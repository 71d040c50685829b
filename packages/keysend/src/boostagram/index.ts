export type { BoostAction, Boostagram, BoostagramField } from './boostagram.js';
export {
  type BoostagramProblem,
  type BoostagramProblemKind,
  type BoostagramReading,
  readBoostagram,
} from './readBoostagram.js';
export { type TrimmedBoostagram, type TrimmedField, trimBoostagram } from './trimBoostagram.js';
export { writeBoostagram } from './writeBoostagram.js';
