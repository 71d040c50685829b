/** What Rivulet uses of libsecp256k1's Node.js bindings; the package ships no types. */
declare module 'secp256k1/bindings.js' {
  interface NativeSecp256k1 {
    privateKeyVerify(privateKey: Uint8Array): boolean;
    /** In place. */
    privateKeyNegate(privateKey: Uint8Array): Uint8Array;
    /** In place. */
    privateKeyTweakAdd(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array;
    /** In place. */
    privateKeyTweakMul(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array;
    publicKeyVerify(publicKey: Uint8Array): boolean;
    publicKeyCreate(privateKey: Uint8Array, compressed: boolean): Uint8Array;
    publicKeyCombine(publicKeys: readonly Uint8Array[], compressed: boolean): Uint8Array;
    publicKeyTweakAdd(publicKey: Uint8Array, tweak: Uint8Array, compressed: boolean): Uint8Array;
    publicKeyTweakMul(publicKey: Uint8Array, tweak: Uint8Array, compressed: boolean): Uint8Array;
    ecdsaSign(hash: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array; recid: number };
    ecdsaVerify(signature: Uint8Array, hash: Uint8Array, publicKey: Uint8Array): boolean;
    ecdsaRecover(signature: Uint8Array, recovery: number, hash: Uint8Array, compressed: boolean): Uint8Array;
    ecdh(publicKey: Uint8Array, privateKey: Uint8Array): Uint8Array;
  }
  const bindings: NativeSecp256k1;
  export = bindings;
}
