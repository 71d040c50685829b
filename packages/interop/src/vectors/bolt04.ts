import assert from 'node:assert/strict';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import {
  createAttributedFailure,
  createFailureOnion,
  createFulfillAttribution,
  createOnion,
  decodeFailureMessage,
  decodeHopPayload,
  decryptFailureOnion,
  encodeFailureMessage,
  encodeHopPayload,
  type FailureMessage,
  peelOnion,
  readFailure,
  readFulfillAttribution,
  wrapAttributedFailure,
  wrapFailureOnion,
  wrapFulfillAttribution,
} from '@rivulet/core/onion';
import { readFixture, type VectorCase } from './vectorCase.js';

interface OnionVector {
  readonly generate: {
    readonly session_key: string;
    readonly associated_data: string;
    /** Payloads with their length prefix. */
    readonly hops: readonly { readonly pubkey: string; readonly payload: string }[];
  };
  readonly onion: string;
  /** The private keys of the hops. */
  readonly decode: readonly string[];
}

interface SimpleErrorVector {
  readonly generate: {
    readonly session_key: string;
    readonly failure_message: string;
    readonly hops: readonly { readonly pubkey: string; readonly hop_shared_secret: string }[];
  };
  readonly errorpacket: string;
}

interface LongErrorVector {
  readonly pubkeys: readonly string[];
  readonly sessionKey: string;
  readonly failure: {
    readonly htlcMsat: string;
    readonly height: number;
    readonly tlvType: string;
    readonly tlvByte: number;
    readonly tlvLength: number;
  };
  readonly encodedFailureMessage: string;
  readonly payload: string;
  /** From the erring node back to the first hop. */
  readonly hops: readonly {
    readonly node: number;
    readonly sharedSecret: string;
    readonly errorPacket: string;
    readonly attributionData: string;
  }[];
  /** In units of 100 ms. The erring node has the first: the text numbers them on the way back. */
  readonly holdTimes: readonly number[];
  /** By the number of the node. */
  readonly fulfillAttributionData: Readonly<Record<string, string>>;
}

/** BOLT 4: the onion test, the onion error test and the traces of "Returning Errors" and "Returning success". */
export function bolt04Cases(): VectorCase[] {
  const onion = JSON.parse(readFixture('bolt04-onion-test.json')) as OnionVector;
  const simple = JSON.parse(readFixture('bolt04-onion-error-test.json')) as SimpleErrorVector;
  const long = JSON.parse(readFixture('bolt04-returning-errors.json')) as LongErrorVector;
  return [
    ...onionCases(onion),
    ...simpleErrorCases(simple),
    ...longErrorCases(long),
    ...attributionCases(long),
  ];
}

/** The fixture's payloads have their length prefix, which `createOnion` writes itself. */
function withoutPrefix(payload: string): Uint8Array {
  const bytes = hexToBytes(payload);
  return bytes.subarray(bytes[0] === 0xfd ? 3 : 1);
}

function onionCases({ generate, onion, decode }: OnionVector): VectorCase[] {
  const associatedData = hexToBytes(generate.associated_data);
  const name = 'BOLT 4 onion-test:';
  const create = {
    name: `${name} create`,
    run() {
      const hops = generate.hops.map(({ pubkey, payload }) => ({
        publicKey: hexToBytes(pubkey),
        payload: withoutPrefix(payload),
      }));
      const { packet } = createOnion({ sessionKey: hexToBytes(generate.session_key), associatedData, hops });
      assert.equal(bytesToHex(packet), onion);
    },
  };
  const peels = decode.map((_, last) => ({
    name: `${name} peel at hop ${last}`,
    run() {
      let packet = hexToBytes(onion);
      for (let hop = 0; hop <= last; hop++) {
        const privateKey = hexToBytes(decode[hop] as string);
        assert.equal(bytesToHex(secp256k1.publicKey(privateKey)), generate.hops[hop]?.pubkey);
        const peeled = peelOnion({ privateKey, packet, associatedData });
        assert.ok(peeled.type === 'forward' || peeled.type === 'final', `hop ${hop} is ${peeled.type}`);
        const payload = withoutPrefix(generate.hops[hop]?.payload as string);
        assert.deepEqual(peeled.payload, payload);
        assert.deepEqual(encodeHopPayload(decodeHopPayload(payload)), payload);
        assert.equal(peeled.type === 'final', hop === decode.length - 1);
        if (peeled.type === 'forward') packet = peeled.nextPacket;
      }
    },
  }));
  return [create, ...peels];
}

/** The secrets that a sender keeps from making the onion of this route. */
function sharedSecretsOf(sessionKey: string, pubkeys: readonly string[]): readonly Uint8Array[] {
  return createOnion({
    sessionKey: hexToBytes(sessionKey),
    associatedData: new Uint8Array(),
    hops: pubkeys.map((pubkey) => ({ publicKey: hexToBytes(pubkey), payload: new Uint8Array(2) })),
  }).sharedSecrets;
}

function simpleErrorCases({ generate, errorpacket }: SimpleErrorVector): VectorCase[] {
  const name = 'BOLT 4 onion-error-test:';
  const secrets = generate.hops.map((hop) => hexToBytes(hop.hop_shared_secret));
  const failure: FailureMessage = { type: 'temporary_node_failure' };
  return [
    {
      name: `${name} the sender's shared secrets`,
      run() {
        const pubkeys = generate.hops.map(({ pubkey }) => pubkey);
        assert.deepEqual(sharedSecretsOf(generate.session_key, pubkeys), secrets);
      },
    },
    {
      name: `${name} create and wrap`,
      run() {
        assert.equal(bytesToHex(encodeFailureMessage(failure)), generate.failure_message);
        const [erring, ...forwarding] = secrets.toReversed();
        let packet = createFailureOnion({ sharedSecret: erring as Uint8Array, failure });
        for (const sharedSecret of forwarding) packet = wrapFailureOnion({ sharedSecret, packet });
        assert.equal(bytesToHex(packet), errorpacket);
      },
    },
    {
      name: `${name} decrypt`,
      run() {
        const decrypted = decryptFailureOnion({ sharedSecrets: secrets, packet: hexToBytes(errorpacket) });
        assert.deepEqual(decrypted, { type: 'attributed', hopIndex: 4, failure });
      },
    },
  ];
}

function longFailure({ failure }: LongErrorVector): FailureMessage {
  return {
    type: 'incorrect_or_unknown_payment_details',
    htlcMsat: BigInt(failure.htlcMsat),
    height: failure.height,
    tlvs: [{ type: BigInt(failure.tlvType), value: new Uint8Array(failure.tlvLength).fill(failure.tlvByte) }],
  };
}

/** From the first hop to the erring node. */
function longSecrets({ hops }: LongErrorVector): Uint8Array[] {
  return hops.toReversed().map(({ sharedSecret }) => hexToBytes(sharedSecret));
}

/** The fixture's payload: the two lengths and 1024 bytes of failure and padding. */
function longPaddedLength({ payload }: LongErrorVector): number {
  return payload.length / 2 - 4;
}

function longErrorCases(vector: LongErrorVector): VectorCase[] {
  const name = 'BOLT 4 returning errors:';
  const failure = longFailure(vector);
  const secrets = longSecrets(vector);
  const paddedLength = longPaddedLength(vector);
  const wrapped = vector.hops.map(({ node, sharedSecret, errorPacket }, i) => ({
    name: `${name} error packet of node ${node}`,
    run() {
      const previous = vector.hops[i - 1];
      const packet =
        previous === undefined
          ? createFailureOnion({ sharedSecret: hexToBytes(sharedSecret), failure, paddedLength })
          : wrapFailureOnion({
              sharedSecret: hexToBytes(sharedSecret),
              packet: hexToBytes(previous.errorPacket),
            });
      assert.equal(bytesToHex(packet), errorPacket);
    },
  }));
  return [
    {
      name: `${name} the sender's shared secrets`,
      run: () => assert.deepEqual(sharedSecretsOf(vector.sessionKey, vector.pubkeys), secrets),
    },
    {
      name: `${name} failure message`,
      run() {
        // The trace calls the message and its padding together the encoded failure message.
        const length = Number.parseInt(vector.payload.slice(0, 4), 16);
        const message = vector.encodedFailureMessage.slice(0, 2 * length);
        assert.equal(vector.payload, vector.payload.slice(0, 4) + vector.encodedFailureMessage);
        assert.equal(bytesToHex(encodeFailureMessage(failure)), message);
        assert.deepEqual(decodeFailureMessage(hexToBytes(message)), failure);
      },
    },
    ...wrapped,
    {
      name: `${name} decrypt`,
      run() {
        const packet = hexToBytes(vector.hops.at(-1)?.errorPacket as string);
        assert.deepEqual(decryptFailureOnion({ sharedSecrets: secrets, packet }), {
          type: 'attributed',
          hopIndex: 4,
          failure,
        });
      },
    },
  ];
}

function attributionCases(vector: LongErrorVector): VectorCase[] {
  const failure = longFailure(vector);
  const secrets = longSecrets(vector);
  const holdTimesMs = vector.holdTimes.map((units) => units * 100);
  const failures = vector.hops.map(({ node, sharedSecret, errorPacket, attributionData }, i) => ({
    name: `BOLT 4 attribution of failures: node ${node}`,
    run() {
      const own = { sharedSecret: hexToBytes(sharedSecret), holdTimeMs: holdTimesMs[i] as number };
      const previous = vector.hops[i - 1];
      const sent =
        previous === undefined
          ? createAttributedFailure({ ...own, failure, paddedLength: longPaddedLength(vector) })
          : wrapAttributedFailure({
              ...own,
              reason: hexToBytes(previous.errorPacket),
              attributionData: hexToBytes(previous.attributionData),
            });
      assert.equal(bytesToHex(sent.reason), errorPacket);
      assert.equal(bytesToHex(sent.attributionData), attributionData);
    },
  }));
  const fulfills = vector.hops.map(({ node, sharedSecret }, i) => ({
    name: `BOLT 4 attribution of fulfills: node ${node}`,
    run() {
      const own = { sharedSecret: hexToBytes(sharedSecret), holdTimeMs: holdTimesMs[i] as number };
      const previous = vector.hops[i - 1];
      const sent =
        previous === undefined
          ? createFulfillAttribution(own)
          : wrapFulfillAttribution({
              ...own,
              attributionData: hexToBytes(vector.fulfillAttributionData[previous.node] as string),
            });
      assert.equal(bytesToHex(sent), vector.fulfillAttributionData[node]);
    },
  }));
  return [
    ...failures,
    {
      name: 'BOLT 4 attribution of failures: read',
      run() {
        const received = vector.hops.at(-1);
        const reason = hexToBytes(received?.errorPacket as string);
        const attributionData = hexToBytes(received?.attributionData as string);
        assert.deepEqual(readFailure({ sharedSecrets: secrets, reason, attributionData }), {
          type: 'attributed',
          hopIndex: 4,
          failure,
          holdTimesMs: holdTimesMs.toReversed(),
        });
      },
    },
    ...fulfills,
    {
      name: 'BOLT 4 attribution of fulfills: read',
      run() {
        const attributionData = hexToBytes(vector.fulfillAttributionData['0'] as string);
        const read = readFulfillAttribution({ sharedSecrets: secrets, attributionData });
        assert.deepEqual(read, { holdTimesMs: holdTimesMs.toReversed() });
      },
    },
  ];
}
