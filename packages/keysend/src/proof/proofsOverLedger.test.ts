import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { describe, expect, test } from 'vitest';
import { AuditLog } from '../compliance/auditLog.js';
import { createGuard } from '../compliance/guard.js';
import { storeReport } from '../compliance/report.js';
import { verifyAudit } from '../compliance/verifyAudit.js';
import type { LegPlan } from '../ledger/leg.js';
import { LegLedger } from '../ledger/legLedger.js';
import { memoryStore } from '../store/memoryStore.js';
import type { KeysendRequest, PaymentOutcome, ReceivedPayment, Wallet } from '../wallets/wallet.js';
import { signAsNode } from './nodeSignature.js';
import { paymentOfLeg, proveLeg } from './proveLeg.js';
import { receiptRecordType } from './receipt.js';
import { ReceiptBook } from './receiptBook.js';
import { ReceiptIssuer } from './receiptIssuer.js';
import { ReceiptReturner } from './receiptReturner.js';
import { verifySenderProof } from './senderProof.js';

/** A node with a wallet that pays at once: what it sends is for the other to receive. */
class Party {
  readonly store = memoryStore();
  readonly audit = new AuditLog({ store: this.store });
  readonly key: Uint8Array;
  readonly nodeId: string;
  readonly secret: Uint8Array;
  readonly sent: KeysendRequest[] = [];
  readonly ledger: LegLedger;
  readonly sign = async (text: string): Promise<string> => signAsNode(text, this.key);

  constructor(seed: number) {
    this.key = new Uint8Array(32).fill(seed);
    this.nodeId = bytesToHex(secp256k1.publicKey(this.key));
    this.secret = new Uint8Array(32).fill(seed + 100);
    this.ledger = new LegLedger({
      store: this.store,
      wallet: this.#wallet(),
      secret: this.secret,
      now: () => 1_800_000_000_000,
      schedule: (delayMs, run) => {
        if (delayMs === 0) queueMicrotask(run);
        return () => {};
      },
      resolver: {
        resolve: async ({ address }) => ({ type: 'keysend', nodeId: address, records: new Map() }),
        invoice: () => Promise.reject(new Error('no invoices here')),
      },
      owner: `party-${seed}`,
      isOwnerAlive: () => false,
      audit: this.audit,
      guard: createGuard({ audit: this.audit }),
    });
  }

  #wallet(): Wallet {
    const never = () => Promise.reject(new Error('not asked for'));
    return {
      kind: 'rivulet',
      capabilities: async () => ({
        keysend: true,
        sendsRecords: true,
        repeats: 'preimage',
        receives: 'records',
        holds: false,
        signs: true,
        paysInvoices: false,
        takesHints: false,
        limitsFees: true,
      }),
      info: async () => ({ kind: 'rivulet', nodeId: this.nodeId }),
      balance: never,
      keysend: async (request): Promise<PaymentOutcome> => {
        this.sent.push(request);
        const preimage = bytesToHex(request.preimage);
        return {
          status: 'succeeded',
          paymentHash: bytesToHex(sha256(request.preimage)),
          preimage,
          feeMsat: 3n,
        };
      },
      payInvoice: never,
      lookup: async () => undefined,
      subscribe: async function* () {},
      signMessage: this.sign,
      close: async () => {},
    };
  }
}

function arrived({ preimage, amountMsat, records }: KeysendRequest): ReceivedPayment {
  return {
    paymentHash: bytesToHex(sha256(preimage)),
    amountMsat,
    receivedAtMs: 1_800_000_000_500,
    records,
    cursor: '1',
  };
}

function planFor(payee: Party): LegPlan {
  return {
    key: 'boost/1/0',
    group: 'boost/1',
    recipient: { type: 'node', address: payee.nodeId },
    amountMsat: 50_000n,
    records: new Map([[7_629_169n, utf8ToBytes('{"message":"hello"}')]]),
  };
}

describe('a payment with a proof and a receipt', () => {
  test('goes out signed, and its receipt comes back, both over ledgers', async () => {
    const [payer, payee] = [new Party(1), new Party(2)];
    const signer = { nodeId: payer.nodeId, sign: payer.sign };
    const plan = await proveLeg(planFor(payee), {
      secret: payer.secret,
      signer,
      receipt: { replyTo: payer.nodeId },
      nowMs: 7,
    });
    const book = new ReceiptBook({ store: payer.store, now: () => 7, audit: payer.audit });
    payer.store.transaction((tx) => {
      payer.ledger.planIn(tx, [plan]);
      book.ask(tx, paymentOfLeg(plan, payer.secret), plan.key);
    });
    await payer.ledger.run();
    expect(book.legOf(bytesToHex(sha256(payer.sent[0]!.preimage)))).toBe('boost/1/0');

    const received = arrived(payer.sent[0]!);
    expect(verifySenderProof({ ...received, recipient: payee.nodeId })).toMatchObject({
      status: 'valid',
      nodeId: payer.nodeId,
      signedAtMs: 7,
      uncovered: [],
    });
    const options = { store: payee.store, recipient: payee.nodeId, now: () => 9, audit: payee.audit };
    const issuer = new ReceiptIssuer({ ...options, sign: payee.sign });
    const pay = async (leg: LegPlan) => {
      payee.ledger.plan([leg]);
      await payee.ledger.run({ keys: [leg.key] });
    };
    expect(await new ReceiptReturner({ ...options, issuer, pay }).handle(received)).toBe('returned');

    expect(payee.sent).toMatchObject([{ nodeId: payer.nodeId, amountMsat: 1_000n }]);
    expect(payee.sent[0]!.records.get(receiptRecordType)).toHaveLength(114);
    expect(book.acceptPayment(payee.sent[0]!)?.status).toBe('stored');
    expect(book.get(received.paymentHash)).toMatchObject({
      recipient: payee.nodeId,
      sender: payer.nodeId,
      amountMsat: '50000',
    });

    // No secret is in either log, whoever wrote into it.
    const secrets = [...payer.sent, ...payee.sent].map(({ preimage }) => bytesToHex(preimage));
    secrets.push(bytesToHex(payer.secret), bytesToHex(payee.secret), bytesToHex(payer.key));
    for (const party of [payer, payee]) {
      expect(verifyAudit(party.store).status).toBe('intact');
      const text = [...party.audit.lines()].join('\n');
      expect(text).not.toBe('');
      for (const secret of secrets) expect(text).not.toContain(secret);
    }
    payer.ledger.plan([{ ...planFor(payee), key: 'later' }]);
    const { totals, open } = storeReport(payer.store, { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER });
    expect(open[0]).toEqual({ state: 'planned', payments: 1, amountMsat: 50_000n });
    expect(totals).toMatchObject({ sent: 1, sentMsat: 50_000n, feesMsat: 3n });
  });

  test('is the same payment when it is planned again later', async () => {
    const [payer, payee] = [new Party(1), new Party(2)];
    const given = { secret: payer.secret, signer: { nodeId: payer.nodeId, sign: payer.sign }, receipt: {} };
    const first = await proveLeg(planFor(payee), { ...given, nowMs: 7 });
    payer.ledger.plan([first]);
    const again = await proveLeg(planFor(payee), { ...given, nowMs: 8, known: payer.ledger.get(first.key) });
    expect(again.records).toEqual(first.records);
    expect(payer.ledger.plan([again])).toHaveLength(1);
  });

  test('can ask for a receipt without saying who asks; and cannot be of an address', async () => {
    const [payer, payee] = [new Party(1), new Party(2)];
    const plan = await proveLeg(planFor(payee), { secret: payer.secret, receipt: {}, nowMs: 7 });
    expect(verifySenderProof(paymentOfLeg(plan, payer.secret))).toEqual({ status: 'absent' });
    expect(await proveLeg(planFor(payee), { secret: payer.secret, nowMs: 7 })).toEqual(planFor(payee));
    const toAddress: LegPlan = {
      ...planFor(payee),
      recipient: { type: 'lnaddress', address: 'ann@host.example' },
    };
    await expect(proveLeg(toAddress, { secret: payer.secret, receipt: {}, nowMs: 7 })).rejects.toThrow(
      /is no node/,
    );
    expect(hexToBytes(payee.nodeId)).toHaveLength(33);
  });
});
