import { secp256k1 } from '../crypto/index.js';
import { type Codec, point } from './codec.js';
import { type Message, messageDefinitions } from './messages.js';

/** The fields of each message that hold a point, by the message's type. */
const pointFields = new Map<string, readonly string[]>(
  messageDefinitions.map((definition) => {
    const records = Object.entries(definition.tlvs).map(([name, field]) => [name, field.codec] as const);
    const codecs: (readonly [string, Codec<unknown>])[] = [...Object.entries(definition.fields), ...records];
    return [definition.type, codecs.filter(([, codec]) => codec === point).map(([name]) => name)];
  }),
);

/**
 * The first field of a message whose point is not on the curve; `undefined` when all are. decodeMessage
 * only checks the prefix, because each check of the curve costs a square root.
 */
export function invalidPoint(message: Message): string | undefined {
  const values = message as Readonly<Record<string, unknown>>;
  return pointFields.get(message.type)?.find((name) => {
    const value = values[name];
    return value !== undefined && !secp256k1.isPublicKey(value as Uint8Array);
  });
}
