import { type ByteReader, type ByteWriter, concatBytes } from '../bytes/index.js';
import { type Codec, CodecError, u8, u16 } from './codec.js';

/** An address descriptor (BOLT 7, `node_announcement`). Addresses are the raw bytes of the wire. */
export type NodeAddress =
  | { readonly type: 'ipv4'; readonly address: Uint8Array; readonly port: number }
  | { readonly type: 'ipv6'; readonly address: Uint8Array; readonly port: number }
  /** Deprecated: 12 bytes that are only kept. */
  | { readonly type: 'torV2'; readonly data: Uint8Array }
  /** 35 bytes: ed25519 public key, checksum, version. */
  | { readonly type: 'torV3'; readonly address: Uint8Array; readonly port: number }
  | { readonly type: 'dns'; readonly hostname: string; readonly port: number }
  /**
   * A descriptor that is not known, padding, or a host name that is not ASCII, and all that followed it:
   * kept, so that the announcement still encodes to the bytes that were signed.
   */
  | { readonly type: 'unknown'; readonly descriptor: number; readonly data: Uint8Array };

const ipAndTorSizes = { 1: ['ipv4', 4], 2: ['ipv6', 16], 4: ['torV3', 35] } as const;

const TOR_V2 = 3;
const DNS = 5;

/** One address descriptor. */
export const nodeAddress: Codec<NodeAddress> = {
  read(reader) {
    const descriptor = reader.u8();
    if (descriptor === 1 || descriptor === 2 || descriptor === 4) {
      const [type, size] = ipAndTorSizes[descriptor];
      return { type, address: reader.bytes(size), port: reader.u16() };
    }
    if (descriptor === TOR_V2) return { type: 'torV2', data: reader.bytes(12) };
    if (descriptor === DNS) return readDns(reader);
    return { type: 'unknown', descriptor, data: reader.rest() };
  },
  write(writer, value) {
    switch (value.type) {
      case 'ipv4':
        return writeAddress(writer, 1, value);
      case 'ipv6':
        return writeAddress(writer, 2, value);
      case 'torV3':
        return writeAddress(writer, 4, value);
      case 'torV2':
        if (value.data.length !== 12) throw new CodecError('a Tor v2 address has 12 bytes');
        writer.u8(TOR_V2).bytes(value.data);
        return;
      case 'dns':
        return writeDns(writer, value);
      case 'unknown':
        u8.write(writer, value.descriptor);
        writer.bytes(value.data);
        return;
      default:
        throw new CodecError(
          `an address of an unknown kind: ${String((value satisfies never as NodeAddress)?.type)}`,
        );
    }
  },
};

/** All the addresses of a `node_announcement`, in the order of the wire. */
export const nodeAddresses: Codec<readonly NodeAddress[]> = {
  read(reader) {
    const addresses: NodeAddress[] = [];
    while (reader.left > 0) addresses.push(nodeAddress.read(reader));
    return addresses;
  },
  write(writer, value) {
    value.forEach((address, at) => {
      if (address.type === 'unknown' && at < value.length - 1) {
        throw new CodecError('nothing can follow an address of an unknown kind');
      }
      nodeAddress.write(writer, address);
    });
  },
};

function writeAddress(
  writer: ByteWriter,
  descriptor: 1 | 2 | 4,
  value: { readonly address: Uint8Array; readonly port: number },
): void {
  const [type, size] = ipAndTorSizes[descriptor];
  if (value.address.length !== size) throw new CodecError(`an address of type ${type} has ${size} bytes`);
  writer.u8(descriptor).bytes(value.address);
  u16.write(writer, value.port);
}

function readDns(reader: ByteReader): NodeAddress {
  const length = reader.u8();
  const bytes = reader.bytes(length);
  // BOLT 7: hostname bytes MUST be ASCII characters. Who relays a bad one is not to blame for it.
  if (bytes.some((byte) => byte >= 0x80)) {
    return {
      type: 'unknown',
      descriptor: DNS,
      data: concatBytes(Uint8Array.of(length), bytes, reader.rest()),
    };
  }
  return { type: 'dns', hostname: String.fromCharCode(...bytes), port: reader.u16() };
}

function writeDns(writer: ByteWriter, value: { readonly hostname: string; readonly port: number }): void {
  if (value.hostname.length > 255) throw new CodecError('a host name has at most 255 characters');
  writer.u8(DNS).u8(value.hostname.length);
  for (let i = 0; i < value.hostname.length; i++) {
    const code = value.hostname.charCodeAt(i);
    if (code >= 0x80) throw new CodecError('a host name must be ASCII: use its Punycode form');
    writer.u8(code);
  }
  u16.write(writer, value.port);
}
