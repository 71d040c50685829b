import * as z from 'zod/mini';
import { KeysendError } from '../keysendError.js';
import type { AuditSink } from '../ledger/auditSink.js';
import { verifyNodeSignature } from '../proof/nodeSignature.js';
import type { SignText } from '../proof/senderProof.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import { readHead } from './auditLog.js';

const nodeId = z.string().check(z.regex(/^0[23][0-9a-f]{64}$/));

const anchorSchema = z.strictObject({
  type: z.literal('keysend-audit-anchor'),
  version: z.literal(1),
  seq: z.int().check(z.gte(1)),
  hash: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  atMs: z.int(),
  /** Whose signature it is. */
  nodeId: z.optional(nodeId),
  signature: z.optional(z.string()),
});

/**
 * Where a log was at a time: kept elsewhere (a mail, a post, a printout), it shows that nothing up to there was changed
 * or cut off since. Signed by a node, it also shows whose log it is.
 */
export type AuditAnchor = z.infer<typeof anchorSchema>;

/** The text under an anchor's signature. */
function anchorText({ seq, hash, atMs, nodeId }: Omit<AuditAnchor, 'signature'>): string {
  return `keysend-audit-anchor/1 seq=${seq} hash=${hash} at_ms=${atMs} node=${nodeId ?? '-'}`;
}

/**
 * Says where the log is now, and writes into it that this was said.
 * @throws KeysendError `not_found` for a log without entries; `signature_invalid` where `sign` signs as another node.
 */
export async function makeAuditAnchor(given: {
  readonly store: ToolkitStore;
  readonly audit: AuditSink;
  readonly now: () => number;
  readonly actor: string;
  readonly signer?: { readonly nodeId: string; readonly sign: SignText };
}): Promise<AuditAnchor> {
  const { store, audit, now, actor, signer } = given;
  const { seq, hash } = readHead(store);
  if (seq === 0) throw new KeysendError('not_found', 'the audit log has no entries yet');
  const base = {
    type: 'keysend-audit-anchor',
    version: 1,
    seq,
    hash,
    atMs: now(),
    ...(signer === undefined ? {} : { nodeId: signer.nodeId }),
  } as const;
  const signature = await signer?.sign(anchorText(base));
  const anchor: AuditAnchor = { ...base, ...(signature === undefined ? {} : { signature }) };
  checkSignature(anchor);
  store.transaction((tx) =>
    audit.append(tx, {
      type: 'log_anchored',
      atMs: anchor.atMs,
      actor,
      data: { seq, hash, signed: signature !== undefined },
    }),
  );
  return anchor;
}

/**
 * The anchor of a JSON file, with its signature checked where it has one.
 * @throws KeysendError `file_invalid`, `signature_invalid`
 */
export function parseAuditAnchor(text: string): AuditAnchor {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KeysendError('file_invalid', 'this is no anchor of an audit log: it is no JSON');
  }
  const parsed = z.safeParse(anchorSchema, value);
  if (!parsed.success)
    throw new KeysendError('file_invalid', 'this is no anchor of an audit log of version 1');
  checkSignature(parsed.data);
  return parsed.data;
}

function checkSignature(anchor: AuditAnchor): void {
  const { nodeId, signature } = anchor;
  if (nodeId === undefined && signature === undefined) return;
  if (signature === undefined || verifyNodeSignature(anchorText(anchor), signature) !== nodeId) {
    throw new KeysendError(
      'signature_invalid',
      'the signature of this anchor is not that of the node it names',
    );
  }
}
