import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import type { ChannelInfo } from '@rivulet/sdk';
import type { LdkPeer } from '../ldk/ldkPeer.js';
import type { LdkChannel } from '../ldk/ldkTypes.js';
import type { Rig } from './rig.js';
import type { RivuletPeer } from './rivuletPeer.js';
import { expectSame, InteropError } from './waitUntil.js';

export type Opener = 'rivulet' | 'ldk';

export interface OpenOptions {
  readonly opener: Opener;
  readonly capacitySat?: bigint;
  /** What the other side has at the beginning. */
  readonly pushSat?: bigint;
}

/** A Rivulet, an LDK node, and a channel between them. */
export class Pair {
  readonly rig: Rig;
  readonly rivulet: RivuletPeer;
  readonly ldk: LdkPeer;
  /** Hex. */
  readonly channelId: string;

  private constructor(rig: Rig, peers: { rivulet: RivuletPeer; ldk: LdkPeer }, channelId: string) {
    this.rig = rig;
    this.rivulet = peers.rivulet;
    this.ldk = peers.ldk;
    this.channelId = channelId;
  }

  /** Connects the two, opens a channel, confirms it and waits until both can use it. */
  static async open(
    rig: Rig,
    peers: { rivulet: RivuletPeer; ldk: LdkPeer },
    { opener, capacitySat = 1_000_000n, pushSat = 400_000n }: OpenOptions,
  ): Promise<Pair> {
    const { rivulet, ldk } = peers;
    await rig.fund(rivulet, ldk, { rivuletSat: capacitySat + 1_000_000n });
    let channelId: string;
    if (opener === 'rivulet') {
      const opened = await rivulet.api.openChannel({
        nodeId: bytesToHex(ldk.pubkey),
        host: '127.0.0.1',
        port: ldk.port,
        capacitySat,
        pushSat,
        channelType: rig.channelType,
      });
      channelId = opened.channelId;
    } else {
      await ldk.connect({ pubkey: rivulet.pubkey, port: rivulet.port });
      const opened = await ldk.openChannel({
        pubkey: rivulet.pubkey,
        capacitySat,
        pushMsat: pushSat * 1000n,
      });
      channelId = bytesToHex(opened.channelId);
    }
    await rig.until(
      'funding transaction in the mempool',
      () => [...rig.chain.regtest.mempool.entries()].length > 0,
    );
    await rig.mine(1);
    const pair = new Pair(rig, peers, channelId);
    await pair.untilUsable();
    return pair;
  }

  get ref(): { channelId: Uint8Array; pubkey: Uint8Array } {
    return { channelId: hexToBytes(this.channelId), pubkey: this.rivulet.pubkey };
  }

  async findRivuletChannel(): Promise<ChannelInfo | undefined> {
    const { channels } = await this.rivulet.api.channels({});
    return channels.find(({ channelId }) => channelId === this.channelId);
  }

  async findLdkChannel(): Promise<LdkChannel | undefined> {
    const channels = await this.ldk.channels();
    return channels.find(({ channelId }) => bytesToHex(channelId) === this.channelId);
  }

  async rivuletChannel(): Promise<ChannelInfo> {
    const channel = await this.findRivuletChannel();
    if (channel === undefined) throw new InteropError('interop_unexpected', 'Rivulet has no such channel');
    return channel;
  }

  async ldkChannel(): Promise<LdkChannel> {
    const channel = await this.findLdkChannel();
    if (channel === undefined) throw new InteropError('interop_unexpected', 'LDK has no such channel');
    return channel;
  }

  async untilUsable(): Promise<void> {
    await this.rig.until('channel usable on both sides', async () => {
      const rivulet = await this.findRivuletChannel();
      return rivulet?.usable === true && (await this.findLdkChannel())?.isUsable === true;
    });
  }

  /** Waits until no payment is under way on either side. */
  async untilQuiet(): Promise<void> {
    await this.rig.until('no HTLCs on either side', async () => {
      const [rivulet, ldk] = [await this.rivuletChannel(), await this.ldkChannel()];
      return rivulet.pendingHtlcs === 0 && ldk.htlcs.length === 0;
    });
  }

  /** Waits until nothing is under way, and checks that both agree on who has what. */
  async expectBalances({ rivuletMsat }: { rivuletMsat: bigint }): Promise<void> {
    await this.untilQuiet();
    const [rivulet, ldk] = [await this.rivuletChannel(), await this.ldkChannel()];
    const capacityMsat = rivulet.capacitySat * 1000n;
    expectSame(rivulet.localMsat, rivuletMsat, "Rivulet's balance in msat");
    expectSame(rivulet.remoteMsat, capacityMsat - rivuletMsat, "LDK's balance in Rivulet's eyes");
    const spendableMsat = capacityMsat - rivuletMsat - ldk.reserveSat * 1000n;
    expectSame(ldk.outboundCapacityMsat, spendableMsat > 0n ? spendableMsat : 0n, 'what LDK can send');
  }

  /** Both notice that the connection is gone, then Rivulet dials. @returns the HTLCs pending in between. */
  async reconnect(): Promise<number> {
    await this.untilApart();
    const { pendingHtlcs } = await this.rivuletChannel();
    await this.dial();
    await this.untilUsable();
    return pendingHtlcs;
  }

  async untilApart(): Promise<void> {
    await this.rig.until('disconnected on both sides', async () => {
      const { peers } = await this.rivulet.api.peers({});
      return peers.length === 0 && (await this.ldk.peers()).length === 0;
    });
  }

  /** Ends the connection and leaves it so, until `dial`. */
  async part(): Promise<void> {
    await this.rivulet.api.disconnect({ nodeId: bytesToHex(this.ldk.pubkey) });
    await this.untilApart();
  }

  async dial(): Promise<void> {
    await this.rivulet.api.connect({
      nodeId: bytesToHex(this.ldk.pubkey),
      host: '127.0.0.1',
      port: this.ldk.port,
    });
  }
}
