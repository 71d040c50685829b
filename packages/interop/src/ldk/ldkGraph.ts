import * as ldk from 'lightningdevkit';
import { freeGraph } from './ldkRuntime.js';

export const ldkNetwork = ldk.Network.LDKNetwork_Regtest;

/**
 * The network graph of a node, over all its lives: LDK makes room for the whole public network, 150 MB, in
 * a memory of 2 GB that all nodes of a process share.
 */
export class LdkGraph {
  readonly graph: ldk.NetworkGraph;
  readonly scorer: ldk.ProbabilisticScorer;

  constructor(logger: ldk.Logger) {
    this.graph = ldk.NetworkGraph.constructor_new(ldkNetwork, logger);
    const decay = ldk.ProbabilisticScoringDecayParameters.constructor_default();
    this.scorer = ldk.ProbabilisticScorer.constructor_new(decay, this.graph, logger);
  }

  /** To be called once no part of LDK runs that knows the graph. */
  free(): void {
    freeGraph(this.graph);
  }
}
