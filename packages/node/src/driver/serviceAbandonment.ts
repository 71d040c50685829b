import { minimumFeeratePerKw } from '@rivulet/chain';
import { txid, txidToHex } from '@rivulet/core/tx';
import { type NodeService, type RequestOf, type ResponseOf, ServiceError } from '@rivulet/sdk';
import { silentLogger } from '../logging/index.js';
import { WalletPublisher } from '../wallet/index.js';
import { anchorChannels, neededReserveSat } from './feeReserve.js';
import type { RivuletNode } from './node.js';
import { describePublished } from './walletAnswers.js';

/** Blocks within which the coins should be back. */
const cancelTarget = 2;

/** The endpoint that takes the coins of a channel back; walletService sends what it makes at every block. */
export function abandonmentService(node: RivuletNode): Pick<NodeService, 'abandonChannel'> {
  const publisher = new WalletPublisher({
    state: node.wallet.state,
    broadcast: (tx) => node.backend.broadcast(tx),
    broadcastPackage: (transactions) => node.backend.broadcastPackage(transactions),
    logger: silentLogger,
  });
  return { abandonChannel: (request) => abandonChannel(node, { request, publisher }) };
}

async function abandonChannel(
  node: RivuletNode,
  { request, publisher }: { request: RequestOf<'abandonChannel'>; publisher: WalletPublisher },
): Promise<ResponseOf<'abandonChannel'>> {
  const { channelId, feeratePerKw, maxFeeSat } = request;
  if (!node.turns.channels.has(channelId)) {
    throw new ServiceError(
      'unknown_channel',
      `there is no channel ${channelId}; \`rivulet channels\` lists them`,
    );
  }
  if (!node.synced) {
    throw new ServiceError(
      'chain_not_synced',
      'the chain is still being read, and may have the funding transaction; try again soon',
    );
  }
  const estimate = await node.backend.estimateFeeratePerKw(cancelTarget).catch(() => undefined);
  const tx = await node.abandonment.abandon({
    key: channelId,
    estimatePerKw: estimate ?? minimumFeeratePerKw,
    feeratePerKw,
    maxFeeSat,
    reserveSat: neededReserveSat(anchorChannels(node.channels)),
    nowMs: Date.now(),
  });
  const id = txid(tx);
  const published = await publisher.publish(id);
  return {
    channelId,
    txidHex: txidToHex(id),
    feeSat: node.wallet.state.feeSat(tx) ?? 0n,
    ...describePublished(published),
  };
}
