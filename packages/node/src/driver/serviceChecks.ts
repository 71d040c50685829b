import { hexToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import { ServiceError } from '@rivulet/sdk';
import type { RivuletNode } from './node.js';

/** @throws ServiceError for an id that no other node can have. */
export function checkOtherNode(node: RivuletNode, nodeId: string): void {
  if (nodeId === node.nodeId) {
    throw new ServiceError('own_node', 'that is the id of this node itself: give the id of the other one');
  }
  if (!secp256k1.isPublicKey(hexToBytes(nodeId))) {
    throw new ServiceError(
      'node_id_invalid',
      'no node can have this id, for it is no point of the curve: compare it digit by digit with the original',
    );
  }
}
