import { ByteWriter, utf8ToBytes } from '../bytes/index.js';
import { hmacSha256, secp256k1 } from '../crypto/index.js';

/** A key by which a tower knows us. Each tower sees others, so that towers cannot tell that they serve one node. */
export interface TowerUser {
  readonly index: number;
  readonly privateKey: Uint8Array;
  /** 33 bytes. */
  readonly userId: Uint8Array;
}

const label = utf8ToBytes('rivulet tower user');

/**
 * The user of a tower with this index: a tower keeps one appointment for each user and locator, so that what
 * punishes one commitment in several transactions takes several users.
 */
export function deriveTowerUser({
  secret,
  towerId,
  index,
}: {
  /** 32 bytes, of the wallet's words. */
  secret: Uint8Array;
  towerId: Uint8Array;
  index: number;
}): TowerUser {
  for (let attempt = 0; ; attempt++) {
    const place = new ByteWriter(8).u32(index).u32(attempt).finish();
    const privateKey = hmacSha256(secret, label, towerId, place);
    // Not one in 2^127 is none.
    if (secp256k1.isPrivateKey(privateKey)) {
      return { index, privateKey, userId: secp256k1.publicKey(privateKey) };
    }
  }
}
