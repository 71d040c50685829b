const id = `02${'ab'.repeat(32)}`;
const hash = 'cd'.repeat(32);

const tower = {
  towerId: id,
  url: 'http://tower.example:9814',
  state: 'misbehaving',
  addedAtMs: 1_700_000_000_000,
  lastContactMs: 1_700_000_000_001,
  lastError: { message: 'the tower does not answer', atMs: 1_700_000_000_002 },
  subscription: { subscriptions: 2, slotsLeft: 9_990, expiryHeight: 904_320, blocksLeft: 4_320 },
  channels: [
    {
      channelId: hash,
      fromCommitment: 3,
      coveredTo: 10,
      revokedTo: 12,
      queued: 2,
      queuedSinceMs: 1_700_000_000_000,
      refused: 1,
      refusal: 'too big',
      missed: 0,
    },
  ],
  proofs: [
    { what: 'a receipt', messageHex: '00ff', signature: 'ry8b', signerHex: id, atMs: 1_700_000_000_003 },
  ],
};

/** A request and an answer of each endpoint about towers. */
export const towerBodies = {
  towers: { request: {}, response: { towers: [tower] } },
  addTower: { request: { uri: `tower.example:9814/${id}` }, response: tower },
  removeTower: { request: { towerId: id }, response: { towerId: id } },
  towerServer: {
    request: {},
    response: {
      server: {
        towerId: id,
        host: '127.0.0.1',
        port: 9814,
        height: 900_000,
        users: 3,
        appointments: 1_000,
        trackers: 1,
        waitingPenalties: 0,
        blobBytes: 300_000,
      },
    },
  },
};
