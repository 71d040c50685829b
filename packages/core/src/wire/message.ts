import { type ByteReader, type ByteWriter, RivuletError, UnexpectedEndError } from '../bytes/index.js';
import type { Codec, Fields, FieldValues } from './codec.js';
import {
  defineTlvs,
  type TlvFields,
  type TlvNamespace,
  type TlvValues,
  type UnknownTlvs,
} from './tlvFields.js';

export type WireErrorCode =
  /** The message ends before its last field. */
  | 'message_truncated'
  /** More than the 65535 bytes that BOLT 8 can carry. */
  | 'message_too_long'
  /** A field holds what its format forbids. */
  | 'message_field_invalid'
  /** What follows the fields is no TLV stream, or one that must be refused; `cause` is the TlvError. */
  | 'message_extension_invalid';

/** A message that cannot be decoded or encoded. BOLT 1: on receiving one, close the connection. */
export class WireError extends RivuletError<WireErrorCode> {
  /** The BOLT's name of the message, where it is known. */
  readonly messageType: string | undefined;
  /** The field at fault, where there is one. */
  readonly field: string | undefined;

  constructor(
    code: WireErrorCode,
    message: string,
    details: { messageType?: string; field?: string; cause?: unknown } = {},
  ) {
    super(code, message, { cause: details.cause });
    this.messageType = details.messageType;
    this.field = details.field;
  }
}

/**
 * What may follow the fields: `tlv` for a TLV stream (BOLT 1), `raw` for whatever comes. Gossip that is
 * relayed takes `raw`: its signatures cover unknown bytes too, and who relays it is not to blame for them.
 */
export type Extension = 'tlv' | 'raw';

/** The type that a declaration describes. */
export type DeclaredMessage<
  Type extends string,
  F extends Fields,
  T extends TlvFields,
  E extends Extension,
> = Simplify<
  { readonly type: Type } & FieldValues<F> &
    TlvValues<T> &
    (E extends 'raw' ? { readonly extension?: Uint8Array } : UnknownTlvs)
>;

type Simplify<T> = { [K in keyof T]: T[K] };

/** A message of the wire: its name, its number, its format. */
export interface MessageDefinition<M> {
  /** The BOLT's name, for example `update_add_htlc`. */
  readonly type: string;
  /** The BOLT's type number. */
  readonly number: number;
  readonly fields: Fields;
  readonly tlvs: TlvFields;
  readonly extension: Extension;
  /** Reads the payload: all after the type number. @throws WireError */
  read(reader: ByteReader): M;
  /** Appends the payload. @throws WireError */
  write(writer: ByteWriter, message: M): void;
}

/** The type of the messages of a definition. */
export type MessageOf<D> = D extends MessageDefinition<infer M> ? M : never;

/**
 * Declares a message, once for both directions; its TypeScript type follows from the declaration.
 * TLV records become optional fields; unknown odd ones are kept in `unknownTlvs`.
 */
export function defineMessage<
  const Type extends string,
  F extends Fields,
  // biome-ignore lint/complexity/noBannedTypes: the empty object is what is meant: no record at all
  T extends TlvFields = {},
  const E extends Extension = 'tlv',
>(declaration: {
  readonly type: Type;
  readonly number: number;
  readonly fields: F;
  readonly tlvs?: T;
  readonly extension?: E;
}): MessageDefinition<DeclaredMessage<Type, F, T, E>> {
  type M = DeclaredMessage<Type, F, T, E>;
  const { type, number, fields } = declaration;
  const names = Object.keys(fields);
  const codecs: Codec<unknown>[] = Object.values(fields);
  const tlvs: TlvFields = declaration.tlvs ?? {};
  const namespace = defineTlvs(tlvs);
  const extension: Extension = declaration.extension ?? 'tlv';

  return {
    type,
    number,
    fields,
    tlvs,
    extension,
    read(reader) {
      const message: Record<string, unknown> = { type };
      let at = 0;
      try {
        for (; at < codecs.length; at++)
          message[names[at] as string] = (codecs[at] as Codec<unknown>).read(reader);
      } catch (cause) {
        throw fieldError(type, names[at] as string, cause);
      }
      if (reader.left > 0) readExtension({ type, extension, namespace }, reader, message);
      return message as M;
    },
    write(writer, message) {
      const values = message as Readonly<Record<string, unknown>>;
      let at = 0;
      try {
        for (; at < codecs.length; at++)
          (codecs[at] as Codec<unknown>).write(writer, values[names[at] as string]);
      } catch (cause) {
        throw fieldError(type, names[at] as string, cause);
      }
      writeExtension({ type, extension, namespace }, writer, values);
    },
  };
}

interface ExtensionFormat {
  readonly type: string;
  readonly extension: Extension;
  readonly namespace: TlvNamespace<TlvFields>;
}

function readExtension(format: ExtensionFormat, reader: ByteReader, message: Record<string, unknown>): void {
  const bytes = reader.rest();
  if (format.extension === 'raw') {
    message.extension = bytes;
    return;
  }
  try {
    // BOLT 1, receiving node: an invalid extension closes the connection.
    Object.assign(message, format.namespace.decode(bytes));
  } catch (cause) {
    throw extensionError(format.type, cause);
  }
}

function writeExtension(
  format: ExtensionFormat,
  writer: ByteWriter,
  values: Readonly<Record<string, unknown>>,
): void {
  if (format.extension === 'raw') {
    if (values.extension !== undefined) writer.bytes(values.extension as Uint8Array);
    return;
  }
  try {
    format.namespace.encode(writer, values);
  } catch (cause) {
    throw extensionError(format.type, cause);
  }
}

function fieldError(messageType: string, field: string, cause: unknown): unknown {
  if (!(cause instanceof RivuletError)) return cause;
  const code = cause instanceof UnexpectedEndError ? 'message_truncated' : 'message_field_invalid';
  return new WireError(code, `${messageType}.${field}: ${cause.message}`, { messageType, field, cause });
}

function extensionError(messageType: string, cause: unknown): unknown {
  if (!(cause instanceof RivuletError)) return cause;
  return new WireError('message_extension_invalid', `${messageType}, TLV records: ${cause.message}`, {
    messageType,
    cause,
  });
}
