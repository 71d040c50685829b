import { RivuletError } from '@rivulet/core/bytes';

export type SimulationErrorCode =
  /** What was asked for cannot be simulated. */
  | 'options_invalid'
  /** A line of a graph file cannot be read. */
  | 'graph_file_invalid';

export class SimulationError extends RivuletError<SimulationErrorCode> {}
