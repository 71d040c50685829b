/** What others can make us spend on gossip: memory, processor, disk, bandwidth. */
export interface GossipLimits {
  /** A gossip message longer than this is ignored: honest ones have some hundred bytes. */
  readonly maxMessageBytes: number;
  /** What may wait to be checked, of one peer and together, in bytes of memory. */
  readonly maxQueuedPeerBytes: number;
  readonly maxQueuedBytes: number;
  /** Between two turns of the event loop so long, and so many signatures, at most. */
  readonly sliceMs: number;
  readonly signaturesPerSlice: number;
  /** Signatures checked for a peer that we do not synchronise with. */
  readonly signaturesPerPeer: { readonly capacity: number; readonly perSecond: number };
  /** Announcements that wait for the chain, of one peer and together. */
  readonly maxFundingChecksPerPeer: number;
  readonly maxFundingChecks: number;
  readonly fundingCheckConcurrency: number;
  /** Announcements of outputs that never were, after which a peer's announcements are no longer looked at. */
  readonly maxFalseAnnouncements: number;
  /** Channels that are believed where nobody looks on chain. */
  readonly maxUncheckedChannels: number;
  /** What may wait in a peer's socket before it gets no more gossip; above 64 KiB. */
  readonly maxWaitingPeerBytes: number;
  /** The same of all peers: beyond it, each gets only little at a time. */
  readonly maxWaitingBytes: number;
  /** Peers whose queries and backlogs are answered at the same time; the others wait. */
  readonly maxServedPeers: number;
  /** Ids in queries that are not answered yet, of all peers; a query beyond them is answered with nothing. */
  readonly maxQueriedIds: number;
  /** How long one peer may keep a place among those that are served while others wait. */
  readonly servedForMs: number;
  /** The same where it reads nothing. */
  readonly servedStallMs: number;
  /** Bytes of queries' answers and backlogs to all peers. */
  readonly servedBytes: { readonly capacity: number; readonly perSecond: number };
  /** Milliseconds of processor for the same. */
  readonly servedMs: { readonly capacity: number; readonly perSecond: number };
  /** How often new gossip is passed on. */
  readonly relayIntervalMs: number;
  /** News that are remembered for peers that read slowly; older ones are lost to them. */
  readonly maxRelayed: number;
  readonly flushIntervalMs: number;
  /** How long a new block may take to come from the node itself before it is fetched. */
  readonly blockDelayMs: number;
  readonly pruneIntervalMs: number;
  /** With how many peers the whole range is compared after the start. */
  readonly initialSyncs: number;
  /** And then with one after the other, so often. */
  readonly resyncIntervalMs: number;
  /** A peer that says nothing for so long while we wait for it has failed. */
  readonly syncStallMs: number;
  /** How long one synchronisation may last. */
  readonly syncMs: number;
}

export const defaultGossipLimits: GossipLimits = {
  maxMessageBytes: 4_096,
  maxQueuedPeerBytes: 8 * 1024 * 1024,
  maxQueuedBytes: 32 * 1024 * 1024,
  sliceMs: 4,
  signaturesPerSlice: 40,
  signaturesPerPeer: { capacity: 20_000, perSecond: 200 },
  maxFundingChecksPerPeer: 600,
  maxFundingChecks: 2_000,
  fundingCheckConcurrency: 4,
  maxFalseAnnouncements: 50,
  maxUncheckedChannels: 200_000,
  maxWaitingPeerBytes: 128 * 1024,
  maxWaitingBytes: 4 * 1024 * 1024,
  maxServedPeers: 32,
  maxQueriedIds: 100_000,
  servedForMs: 60_000,
  servedStallMs: 10_000,
  servedBytes: { capacity: 64 * 1024 * 1024, perSecond: 4 * 1024 * 1024 },
  servedMs: { capacity: 3_000, perSecond: 200 },
  relayIntervalMs: 60_000,
  maxRelayed: 20_000,
  flushIntervalMs: 5_000,
  blockDelayMs: 10_000,
  pruneIntervalMs: 24 * 3_600_000,
  initialSyncs: 3,
  resyncIntervalMs: 3_600_000,
  syncStallMs: 60_000,
  syncMs: 2 * 3_600_000,
};
