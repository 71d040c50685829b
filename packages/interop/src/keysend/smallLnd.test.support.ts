import { createHash } from 'node:crypto';

export interface PaidKeysend {
  readonly nodeId: string;
  readonly amountMsat: bigint;
  /** By type; without the preimage. */
  readonly records: ReadonlyMap<string, Buffer>;
  readonly routeHints: unknown;
}

const preimageType = '5482373484';

/** As much of LND's REST interface as a wallet needs to pay keysends; each payment hash is paid once. */
export class SmallLnd {
  readonly macaroonHex = '0201036c6e64';
  readonly paid: PaidKeysend[] = [];
  readonly #hashes = new Set<string>();

  answer(request: { method: string; path: string; macaroon: string | null; body: string }): {
    status: number;
    body: string;
  } {
    const { method, path, macaroon, body } = request;
    const json = (status: number, value: unknown) => ({ status, body: JSON.stringify(value) });
    if (macaroon !== this.macaroonHex)
      return json(500, { code: 2, message: 'verification failed', details: [] });
    if (method === 'GET' && path === '/v1/getinfo') {
      const chains = [{ chain: 'bitcoin', network: 'mainnet' }];
      return json(200, {
        version: '0.21.0-beta',
        identity_pubkey: `02${'79'.repeat(32)}`,
        alias: 'small',
        chains,
      });
    }
    if (method === 'GET' && path.startsWith('/v1/channels')) return json(200, { channels: [] });
    if (method === 'POST' && path === '/v2/router/send')
      return json(200, { result: this.#pay(JSON.parse(body)) });
    return json(404, { code: 5, message: 'Not Found', details: [] });
  }

  #pay(body: Record<string, unknown>): unknown {
    const records = new Map(
      Object.entries(body.dest_custom_records as Record<string, string>).map(([type, value]) => [
        type,
        Buffer.from(value, 'base64'),
      ]),
    );
    const preimage = records.get(preimageType) ?? Buffer.alloc(0);
    const hash = createHash('sha256').update(preimage).digest();
    if (preimage.length !== 32 || hash.toString('base64') !== body.payment_hash)
      throw new Error('no keysend');
    records.delete(preimageType);
    const paymentHash = hash.toString('hex');
    if (this.#hashes.has(paymentHash)) throw new Error('the same payment twice');
    this.#hashes.add(paymentHash);
    const amountMsat = BigInt(String(body.amt_msat));
    const nodeId = Buffer.from(String(body.dest), 'base64').toString('hex');
    this.paid.push({ nodeId, amountMsat, records, routeHints: body.route_hints });
    return {
      payment_hash: paymentHash,
      payment_preimage: preimage.toString('hex'),
      value_msat: `${amountMsat}`,
      fee_msat: '1000',
      status: 'SUCCEEDED',
      failure_reason: 'FAILURE_REASON_NONE',
      payment_index: `${this.paid.length}`,
    };
  }
}
