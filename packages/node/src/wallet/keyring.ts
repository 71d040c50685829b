import { type Network, scriptToAddress } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { HDKey } from '@scure/bip32';
import { p2tr, p2wpkh } from '@scure/btc-signer';
import { withChecksum } from './descriptor.js';

export type AddressType = 'p2tr' | 'p2wpkh';

/** A sequence of addresses. Its place in `keychains` is stored: never reorder them. */
export interface Keychain {
  readonly number: number;
  readonly type: AddressType;
  readonly change: boolean;
}

export const keychains: readonly Keychain[] = [
  { number: 0, type: 'p2tr', change: false },
  { number: 1, type: 'p2tr', change: true },
  { number: 2, type: 'p2wpkh', change: false },
  { number: 3, type: 'p2wpkh', change: true },
];

export function keychainOf(type: AddressType, change: boolean): Keychain {
  return keychains.find((one) => one.type === type && one.change === change) as Keychain;
}

/** One script of the wallet. */
export interface WalletKey {
  readonly keychain: Keychain;
  readonly index: number;
  readonly script: Uint8Array;
  /** 33 bytes, before any taproot tweak. */
  readonly publicKey: Uint8Array;
}

/** How many unused addresses after the last used one are watched (BIP 44's gap limit). */
export const gapLimit = 20;

/** The version bytes of extended keys outside of mainnet: `tprv` and `tpub` (BIP 32). */
const testVersions = { private: 0x04358394, public: 0x043587cf };

/**
 * The wallet's keys: BIP 86 `m/86'/coin'/0'` for taproot, BIP 84 `m/84'/coin'/0'` for version 0 outputs, each
 * with `/0/*` for receiving and `/1/*` for change; coin is 0 on mainnet and 1 elsewhere.
 */
export class Keyring {
  readonly network: Network;
  /** BIP 32 fingerprint of the master key. */
  readonly fingerprint: number;
  readonly #accounts: Record<AddressType, HDKey>;
  readonly #branches: HDKey[];
  readonly #keys: WalletKey[][] = keychains.map(() => []);
  readonly #byScript = new Map<string, WalletKey>();

  constructor(seed: Uint8Array, network: Network) {
    const coin = network === 'mainnet' ? 0 : 1;
    const master = HDKey.fromMasterSeed(seed, network === 'mainnet' ? undefined : testVersions);
    this.network = network;
    this.fingerprint = master.fingerprint;
    this.#accounts = {
      p2tr: master.derive(`m/86'/${coin}'/0'`),
      p2wpkh: master.derive(`m/84'/${coin}'/0'`),
    };
    this.#branches = keychains.map(({ type, change }) => this.#accounts[type].deriveChild(change ? 1 : 0));
  }

  /**
   * What another wallet needs to find all coins: one descriptor a keychain (BIP 380). With private keys, in place of
   * the public ones, it can spend them as well.
   */
  descriptors(options: { private?: boolean } = {}): string[] {
    const origin = this.fingerprint.toString(16).padStart(8, '0');
    const coin = this.network === 'mainnet' ? 0 : 1;
    return keychains.map(({ type, change }) => {
      const [name, purpose] = type === 'p2tr' ? ['tr', 86] : ['wpkh', 84];
      const account = this.#accounts[type];
      const extended = options.private === true ? account.privateExtendedKey : account.publicExtendedKey;
      const key = `[${origin}/${purpose}h/${coin}h/0h]${extended}`;
      return withChecksum(`${name}(${key}/${change ? 1 : 0}/*)`);
    });
  }

  key(keychain: Keychain, index: number): WalletKey {
    this.watch(keychain, index + 1);
    return this.#keys[keychain.number]?.[index] as WalletKey;
  }

  /** Makes sure that the first `count` scripts of a keychain are known. Says whether any was new. */
  watch(keychain: Keychain, count: number): boolean {
    const keys = this.#keys[keychain.number] as WalletKey[];
    if (keys.length >= count) return false;
    const branch = this.#branches[keychain.number] as HDKey;
    while (keys.length < count) {
      const index = keys.length;
      const publicKey = branch.deriveChild(index).publicKey as Uint8Array;
      const { script } = keychain.type === 'p2tr' ? p2tr(publicKey.subarray(1)) : p2wpkh(publicKey);
      const key = { keychain, index, script, publicKey };
      keys.push(key);
      this.#byScript.set(bytesToHex(script), key);
    }
    return true;
  }

  /** The key of a script, if it is one that is watched. */
  find(script: Uint8Array): WalletKey | undefined {
    // Both kinds of script have their own lengths: most outputs of a block are told apart without hashing.
    if (script.length !== 34 && script.length !== 22) return undefined;
    return this.#byScript.get(bytesToHex(script));
  }

  scripts(): Uint8Array[] {
    return this.#keys.flatMap((keys) => keys.map(({ script }) => script));
  }

  privateKey({ keychain, index }: WalletKey): Uint8Array {
    return (this.#branches[keychain.number] as HDKey).deriveChild(index).privateKey as Uint8Array;
  }

  address({ script }: WalletKey): string {
    return scriptToAddress(script, this.network);
  }

  path({ keychain, index }: WalletKey): string {
    const purpose = keychain.type === 'p2tr' ? 86 : 84;
    const coin = this.network === 'mainnet' ? 0 : 1;
    return `m/${purpose}'/${coin}'/0'/${keychain.change ? 1 : 0}/${index}`;
  }
}
