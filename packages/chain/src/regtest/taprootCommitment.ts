import { ByteWriter, compareBytes, concatBytes, equalBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { writeCompactSize } from '@rivulet/core/tx';

/** The tagged hash of BIP 340. */
function taggedHash(tag: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const tagHash = sha256(utf8ToBytes(tag));
  return sha256(concatBytes(tagHash, tagHash, ...parts));
}

/** BIP 341: the hash of a leaf of a taproot output's tree of scripts. */
export function tapLeafHash(leafVersion: number, script: Uint8Array): Uint8Array {
  const writer = new ByteWriter(script.length + 6).u8(leafVersion);
  writeCompactSize(writer, script.length);
  return taggedHash('TapLeaf', writer.bytes(script).finish());
}

/** BIP 341: whether the control block proves that the output key commits to the leaf. */
export function commitsToLeaf(options: {
  program: Uint8Array;
  control: Uint8Array;
  leafHash: Uint8Array;
}): boolean {
  const { program, control } = options;
  const internal = control.subarray(1, 33);
  let node = options.leafHash;
  for (let offset = 33; offset < control.length; offset += 32) {
    const other = control.subarray(offset, offset + 32);
    node =
      compareBytes(node, other) < 0
        ? taggedHash('TapBranch', node, other)
        : taggedHash('TapBranch', other, node);
  }
  try {
    const tweak = taggedHash('TapTweak', internal, node);
    const output = secp256k1.publicKeyAdd(concatBytes(Uint8Array.of(2), internal), tweak);
    return equalBytes(output.subarray(1), program) && output[0] === 2 + ((control[0] as number) & 1);
  } catch {
    // The internal key is no point, or the tweak is impossible.
    return false;
  }
}
