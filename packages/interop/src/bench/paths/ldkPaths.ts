import { readFileSync } from 'node:fs';
import * as ldk from 'lightningdevkit';
import { LdkError } from '../../ldk/ldkError.js';
import { LdkLog } from '../../ldk/ldkLog.js';
import { loadLdk } from '../../ldk/ldkRuntime.js';
import {
  type AnsweredHop,
  type LoadedGraph,
  type PathAnswer,
  type PathQuery,
  type PathsChildMethods,
  pathLimits,
} from './pathQuery.js';

/** LDK's path-finder over its NetworkGraph, with the scorer and the parameters that it begins with. */
export class LdkPaths implements PathsChildMethods {
  #logger: ldk.Logger | undefined;
  #graph: ldk.NetworkGraph | undefined;
  #scorer: ldk.ProbabilisticScorer | undefined;
  readonly #seed = new Uint8Array(32).fill(7);

  async load(graphPath: string): Promise<LoadedGraph> {
    await loadLdk();
    const logger = new LdkLog('error').asLogger();
    this.#logger = logger;
    const bytes = readFileSync(graphPath);
    globalThis.gc?.();
    const before = process.memoryUsage.rss();
    const begin = performance.now();
    const result = ldk.NetworkGraph.constructor_read(bytes, logger);
    const loadMs = performance.now() - begin;
    if (!(result instanceof ldk.Result_NetworkGraphDecodeErrorZ_OK)) {
      throw new LdkError('ldk_persistence', 'LDK does not read the graph that was written for it');
    }
    globalThis.gc?.();
    const rssBytes = process.memoryUsage.rss() - before;
    this.#graph = result.res;
    this.#scorer = ldk.ProbabilisticScorer.constructor_new(
      ldk.ProbabilisticScoringDecayParameters.constructor_default(),
      this.#graph,
      logger,
    );
    const view = this.#graph.read_only();
    const [channels, nodes] = [view.list_channels().length, view.list_nodes().length];
    view.free();
    return { loadMs, channels, nodes, rssBytes, heapBytes: undefined };
  }

  async find(queries: readonly PathQuery[]): Promise<PathAnswer[]> {
    const answers: PathAnswer[] = [];
    for (const query of queries) {
      answers.push(this.#findOne(query));
      // Finalizers, which free what the bindings made, run only then.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return answers;
  }

  #findOne(query: PathQuery): PathAnswer {
    if (!this.#graph || !this.#scorer || !this.#logger) {
      throw new LdkError('ldk_not_running', 'no graph has been loaded');
    }
    const severalParts = query.maxParts > 1;
    const payment = ldk.PaymentParameters.constructor_for_keysend(
      query.destination,
      pathLimits.finalCltvDelta,
      severalParts,
    );
    payment.set_max_path_count(query.maxParts);
    const parameters = ldk.RouteParameters.constructor_from_payment_params_and_value(
      payment,
      query.amountMsat,
    );
    parameters.set_max_total_routing_fee_msat(ldk.Option_u64Z.constructor_some(query.maxFeeMsat));
    const firstHops = query.firstHops.map(createFirstHop);
    const scoreLookUp = this.#scorer.as_ScoreLookUp();
    const scoring = ldk.ProbabilisticScoringFeeParameters.constructor_default();
    const begin = performance.now();
    const result = ldk.UtilMethods.constructor_find_route(
      query.source,
      parameters,
      this.#graph,
      firstHops,
      this.#logger,
      scoreLookUp,
      scoring,
      this.#seed,
    );
    const elapsedMs = performance.now() - begin;
    if (!(result instanceof ldk.Result_RouteLightningErrorZ_OK)) {
      const reason = result instanceof ldk.Result_RouteLightningErrorZ_Err ? result.err.get_err() : 'unknown';
      return { elapsedMs, parts: undefined, reason };
    }
    return { elapsedMs, parts: result.res.get_paths().map(describePath) };
  }
}

/** LDK gives a hop what its node takes and waits for; an HTLC carries what all after it take. */
function describePath(path: ldk.Path): AnsweredHop[] {
  const hops: AnsweredHop[] = [];
  let amountMsat = 0n;
  let cltvDelta = 0;
  for (const hop of path.get_hops().reverse()) {
    amountMsat += hop.get_fee_msat();
    cltvDelta += hop.get_cltv_expiry_delta();
    hops.push({
      nodeId: hop.get_pubkey(),
      shortChannelId: hop.get_short_channel_id(),
      amountMsat,
      cltvDelta,
    });
  }
  return hops.reverse();
}

function createFirstHop(hop: PathQuery['firstHops'][number]): ldk.ChannelDetails {
  const no64 = ldk.Option_u64Z.constructor_none();
  const no32 = ldk.Option_u32Z.constructor_none();
  const channelId = new Uint8Array(32);
  new DataView(channelId.buffer).setBigUint64(0, hop.shortChannelId);
  return ldk.ChannelDetails.constructor_new(
    ldk.ChannelId.constructor_new(channelId),
    ldk.ChannelCounterparty.constructor_new(
      hop.nodeId,
      ldk.InitFeatures.constructor_empty(),
      0n,
      null,
      ldk.Option_u64Z.constructor_some(hop.minimumMsat),
      ldk.Option_u64Z.constructor_some(hop.spendableMsat),
    ),
    null,
    null,
    ldk.Option_u64Z.constructor_some(hop.shortChannelId),
    no64,
    no64,
    BigInt(hop.capacitySat),
    no64,
    0n,
    no32,
    hop.spendableMsat,
    hop.spendableMsat,
    hop.minimumMsat,
    0n,
    no32,
    no32,
    ldk.Option_u16Z.constructor_none(),
    true,
    true,
    ldk.Option_ChannelShutdownStateZ.constructor_none(),
    true,
    true,
    no64,
    no64,
    null,
    [],
    [],
  );
}
