import { bytesToHex, hexToBytes, reverseBytes } from '@rivulet/core/bytes';
import type { Outpoint, Transaction } from '@rivulet/core/tx';
import { addressToScript } from '../address.js';
import { decodeBlock } from '../block.js';
import type { StoredBlock } from './chainState.js';
import {
  bitcoins,
  blockBytes,
  blockJson,
  chainwork,
  confirmationJson,
  headerHex,
  headerJson,
  mempoolEntryJson,
  regtestDifficulty,
  scriptJson,
  transactionJson,
} from './coreJson.js';
import { feeOf } from './policy.js';
import { outpointKey, prepareTransaction } from './preparedTransaction.js';
import type { RegtestChain } from './regtestChain.js';
import { RpcError, rpcCodes } from './rpcError.js';
import { checkHash, parseTransaction, type RpcParameters } from './rpcParameters.js';
import { TxRejection } from './txRejection.js';

interface RpcContext {
  readonly chain: RegtestChain;
  readonly params: RpcParameters;
  readonly signal: AbortSignal;
  /** When the server started, in milliseconds. */
  readonly startedAt: number;
  readonly stop: () => void;
}

interface RpcMethod {
  /** The names of its arguments, in order. */
  readonly names: readonly string[];
  readonly run: (context: RpcContext) => unknown;
}

const relayFee = 0.00001;
/** Bitcoin Core's default guard against absurd fees, in bitcoin a 1000 virtual bytes. */
const defaultMaxFeerate = 0.1;
const maxBlocksAtOnce = 10_000;

function method(names: string, run: (context: RpcContext) => unknown): RpcMethod {
  return { names: names === '' ? [] : names.split(' '), run };
}

function outpointOf(txidHex: string, index: number): Outpoint {
  return { txid: reverseBytes(hexToBytes(txidHex)), index };
}

function findBlock({ chain, params }: RpcContext, index = 0): StoredBlock {
  const block = chain.block(params.hash(index));
  if (block === undefined) throw new RpcError(rpcCodes.invalidAddressOrKey, 'Block not found');
  return block;
}

function blockAt({ chain, params }: RpcContext): StoredBlock {
  const block = chain.blockAt(params.integer(0));
  if (block === undefined) throw new RpcError(rpcCodes.invalidParameter, 'Block height out of range');
  return block;
}

function getRawTransaction(context: RpcContext): unknown {
  const { chain, params } = context;
  const txidHex = params.hash(0);
  const verbosity = params.verbosity(1, 0);
  const block = params.has(2) ? findBlock(context, 2) : chain.confirmed(txidHex)?.block;
  const confirmed = block?.transactions.find((one) => one.txidHex === txidHex);
  const found = confirmed ?? (params.has(2) ? undefined : chain.mempool.get(txidHex));
  if (found === undefined) {
    const where = params.has(2)
      ? 'transaction found in the provided block'
      : 'mempool or blockchain transaction';
    throw new RpcError(
      rpcCodes.invalidAddressOrKey,
      `No such ${where}. Use gettransaction for wallet transactions.`,
    );
  }
  if (verbosity === 0) return bytesToHex(found.bytes);
  const isConfirmed = confirmed !== undefined && block !== undefined;
  return { ...transactionJson(found), ...(isConfirmed ? confirmationJson(chain, block) : {}) };
}

function checkFeerate(options: { feeSat: bigint; vsize: number; maxFeerate: number }): void {
  const limit = BigInt(Math.round(options.maxFeerate * 1e8));
  if (limit > 0n && options.feeSat > feeOf(options.vsize, limit)) {
    throw new RpcError(
      rpcCodes.verify,
      'Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)',
    );
  }
}

function sendRawTransaction({ chain, params }: RpcContext): string {
  const tx = params.transaction(0);
  const maxFeerate = params.number(1, defaultMaxFeerate);
  const { txidHex } = prepareTransaction(tx);
  try {
    const { feeSat, vsize } = chain.mempool.check(tx);
    checkFeerate({ feeSat, vsize, maxFeerate });
    return chain.broadcast(tx).txidHex;
  } catch (error) {
    if (!(error instanceof TxRejection)) throw error;
    // Sending again what is there already is no error.
    if (error.reason === 'txn-already-in-mempool') return txidHex;
    const unspent = tx.outputs.some((_, index) => {
      return chain.unspent(outpointOf(txidHex, index), { mempool: false }) !== undefined;
    });
    if (unspent) {
      throw new RpcError(rpcCodes.verifyAlreadyInUtxoSet, 'Transaction outputs already in utxo set');
    }
    const missing = error.reason === 'bad-txns-inputs-missingorspent' || error.reason === 'txn-already-known';
    if (missing) throw new RpcError(rpcCodes.verify, 'bad-txns-inputs-missingorspent');
    throw new RpcError(rpcCodes.verifyRejected, error.message);
  }
}

function testMempoolAccept({ chain, params }: RpcContext): object[] {
  const maxFeerate = params.number(1, defaultMaxFeerate);
  return params.list(0).map((hex) => {
    const tx = parseTransaction(hex);
    const { txidHex, wtxidHex } = prepareTransaction(tx);
    try {
      const { feeSat, vsize } = chain.mempool.check(tx);
      checkFeerate({ feeSat, vsize, maxFeerate });
      return { txid: txidHex, wtxid: wtxidHex, allowed: true, vsize, fees: { base: bitcoins(feeSat) } };
    } catch (error) {
      if (error instanceof RpcError) {
        return { txid: txidHex, wtxid: wtxidHex, allowed: false, 'reject-reason': 'max-fee-exceeded' };
      }
      if (!(error instanceof TxRejection)) throw error;
      const missing = error.reason === 'bad-txns-inputs-missingorspent';
      return {
        txid: txidHex,
        wtxid: wtxidHex,
        allowed: false,
        'reject-reason': missing ? 'missing-inputs' : error.reason,
        'reject-details': error.message,
      };
    }
  });
}

function submitPackage({ chain, params }: RpcContext): object {
  const transactions = params.list(0).map(parseTransaction);
  if (transactions.length < 1 || transactions.length > 25) {
    throw new RpcError(rpcCodes.invalidParameter, 'Array must contain between 1 and 25 transactions.');
  }
  const prepared = transactions.map((tx: Transaction) => prepareTransaction(tx));
  const results = chain.broadcastPackage(transactions);
  const failed = results.some((one) => one instanceof TxRejection);
  return {
    package_msg: failed ? 'transaction failed' : 'success',
    'tx-results': Object.fromEntries(
      results.map((one, i) => {
        const { wtxidHex, txidHex } = prepared[i]!;
        if (one instanceof TxRejection) return [wtxidHex, { txid: txidHex, error: one.message }];
        return [wtxidHex, { txid: txidHex, vsize: one.vsize, fees: { base: bitcoins(one.feeSat) } }];
      }),
    ),
    'replaced-transactions': [],
  };
}

function getTxOut({ chain, params }: RpcContext): object | null {
  const outpoint = outpointOf(params.hash(0), params.integer(1));
  const coin = chain.unspent(outpoint, { mempool: params.boolean(2, true) });
  if (coin === undefined) return null;
  return {
    bestblock: chain.tip.hashHex,
    confirmations: chain.height - coin.height + 1,
    value: bitcoins(coin.valueSat),
    scriptPubKey: scriptJson(coin.script),
    coinbase: coin.coinbase,
  };
}

function generateToAddress({ chain, params }: RpcContext): string[] {
  const blocks = params.integer(0);
  if (blocks < 0 || blocks > maxBlocksAtOnce) {
    throw new RpcError(rpcCodes.invalidParameter, `nblocks has to be 0 to ${maxBlocksAtOnce}`);
  }
  let script: Uint8Array;
  try {
    script = addressToScript(params.text(1), 'regtest');
  } catch (error) {
    if (error instanceof RpcError) throw error;
    throw new RpcError(rpcCodes.invalidAddressOrKey, 'Error: Invalid address');
  }
  return chain.mine({ blocks, script }).map((block) => block.hashHex);
}

function changeValidity(context: RpcContext, change: 'invalidateBlock' | 'reconsiderBlock'): null {
  const { hashHex } = findBlock(context);
  context.chain[change](hashHex);
  return null;
}

function submitBlock({ chain, params }: RpcContext): string | null {
  let block: ReturnType<typeof decodeBlock>;
  try {
    block = decodeBlock(hexToBytes(params.text(0)));
  } catch (error) {
    if (error instanceof RpcError) throw error;
    throw new RpcError(rpcCodes.deserialization, 'Block decode failed');
  }
  try {
    chain.addBlock(block);
    return null;
  } catch (error) {
    if (error instanceof TxRejection) return error.reason;
    throw error;
  }
}

function spendingPrevouts({ chain, params }: RpcContext): object[] {
  return params.list(0).map((item) => {
    const { txid, vout } = (item ?? {}) as { txid?: unknown; vout?: unknown };
    const txidHex = checkHash(txid, 'txid');
    if (!Number.isInteger(vout) || (vout as number) < 0) {
      throw new RpcError(rpcCodes.invalidParameter, 'Invalid parameter, vout cannot be negative');
    }
    const spender = chain.mempool.spenderOf(outpointKey(outpointOf(txidHex, vout as number)));
    return { txid: txidHex, vout, ...(spender === undefined ? {} : { spendingtxid: spender.txidHex }) };
  });
}

/** Waits for a tip that satisfies the condition; answers with the tip of the end, satisfied or not. */
async function waitForTip(
  context: RpcContext,
  options: { timeoutMs: number; until: () => boolean },
): Promise<object> {
  const { chain, signal } = context;
  if (options.timeoutMs < 0) throw new RpcError(rpcCodes.miscellaneous, 'Negative timeout');
  await new Promise<void>((resolve) => {
    if (options.until() || signal.aborted) return resolve();
    const limitMs = 2 ** 31 - 1;
    const timer = options.timeoutMs > 0 ? setTimeout(done, Math.min(options.timeoutMs, limitMs)) : undefined;
    const end = chain.onTip(() => {
      if (options.until()) done();
    });
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      end();
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
  return { hash: chain.tip.hashHex, height: chain.height };
}

function waitForNewBlock(context: RpcContext): Promise<object> {
  const { chain, params } = context;
  // `current_tip`: without it, a block between two calls would be missed.
  const from = params.has(1) ? params.hash(1) : chain.tip.hashHex;
  return waitForTip(context, { timeoutMs: params.integer(0, 0), until: () => chain.tip.hashHex !== from });
}

function chainInfo({ chain }: RpcContext): object {
  const { tip, height } = chain;
  return {
    chain: 'regtest',
    blocks: height,
    headers: height,
    bestblockhash: tip.hashHex,
    bits: tip.header.bits.toString(16),
    difficulty: regtestDifficulty,
    time: tip.header.time,
    mediantime: chain.medianTimePastAt(height),
    verificationprogress: 1,
    initialblockdownload: false,
    chainwork: chainwork(height),
    pruned: false,
    warnings: [],
  };
}

function mempoolInfo({ chain }: RpcContext): object {
  const entries = chain.mempool.entries();
  return {
    loaded: true,
    size: entries.length,
    bytes: entries.reduce((sum, one) => sum + one.vsize, 0),
    total_fee: bitcoins(entries.reduce((sum, one) => sum + one.feeSat, 0n)),
    mempoolminfee: relayFee,
    minrelaytxfee: relayFee,
    incrementalrelayfee: relayFee,
    unbroadcastcount: 0,
    fullrbf: true,
  };
}

function networkInfo(): object {
  return {
    version: 290000,
    subversion: '/Rivulet-regtest:0.1.0/',
    protocolversion: 70016,
    localrelay: true,
    networkactive: false,
    connections: 0,
    networks: [],
    relayfee: relayFee,
    incrementalfee: relayFee,
    localaddresses: [],
    warnings: [],
  };
}

/** Only `raw(HEX)` of the descriptors, and `addr(ADDRESS)`. */
function scannedScript(descriptor: unknown): Uint8Array {
  const [, kind, argument = ''] = /^(raw|addr)\(([^()]*)\)$/.exec(String(descriptor)) ?? [];
  try {
    if (kind === 'raw') return hexToBytes(argument);
    if (kind === 'addr') return addressToScript(argument, 'regtest');
  } catch {
    // Told below.
  }
  throw new RpcError(
    rpcCodes.invalidAddressOrKey,
    'Invalid descriptor: raw(HEX) and addr(ADDRESS) are known',
  );
}

function scanTxOutSet({ chain, params }: RpcContext): object | boolean | null {
  const action = params.text(0);
  // A scan is over when its call is.
  if (action === 'status') return null;
  if (action === 'abort') return false;
  if (action !== 'start') throw new RpcError(rpcCodes.invalidParameter, `Invalid action '${action}'`);
  const wanted = new Set(params.list(1).map((descriptor) => bytesToHex(scannedScript(descriptor))));
  const coins = [...chain.coins()];
  const found = coins.filter(([, { script }]) => wanted.has(bytesToHex(script)));
  return {
    success: true,
    txouts: coins.length,
    height: chain.height,
    bestblock: chain.tip.hashHex,
    unspents: found.map(([key, { script, valueSat, height, coinbase }]) => ({
      txid: key.slice(0, 64),
      vout: Number(key.slice(65)),
      scriptPubKey: bytesToHex(script),
      desc: `raw(${bytesToHex(script)})`,
      amount: bitcoins(valueSat),
      coinbase,
      height,
      blockhash: chain.blockAt(height)?.hashHex,
      confirmations: chain.height - height + 1,
    })),
    total_amount: bitcoins(found.reduce((sum, [, { valueSat }]) => sum + valueSat, 0n)),
  };
}

/** The methods of Bitcoin Core that the regtest server has. */
export const rpcMethods: ReadonlyMap<string, RpcMethod> = new Map<string, RpcMethod>([
  ['getblockchaininfo', method('', chainInfo)],
  ['getblockcount', method('', ({ chain }) => chain.height)],
  ['getbestblockhash', method('', ({ chain }) => chain.tip.hashHex)],
  ['getblockhash', method('height', (context) => blockAt(context).hashHex)],
  [
    'getblock',
    method('blockhash verbosity', (context) => {
      const block = findBlock(context);
      const verbosity = context.params.verbosity(1, 1);
      if (verbosity <= 0) return bytesToHex(blockBytes(block));
      return blockJson({ chain: context.chain, block, verbosity });
    }),
  ],
  [
    'getblockheader',
    method('blockhash verbose', (context) => {
      const block = findBlock(context);
      return context.params.boolean(1, true) ? headerJson(context.chain, block) : headerHex(block);
    }),
  ],
  ['getrawtransaction', method('txid verbosity blockhash', getRawTransaction)],
  [
    'decoderawtransaction',
    method('hexstring', ({ params }) => transactionJson(prepareTransaction(params.transaction(0)))),
  ],
  ['sendrawtransaction', method('hexstring maxfeerate maxburnamount', sendRawTransaction)],
  ['testmempoolaccept', method('rawtxs maxfeerate', testMempoolAccept)],
  ['submitpackage', method('package maxfeerate maxburnamount', submitPackage)],
  ['scantxoutset', method('action scanobjects', scanTxOutSet)],
  ['submitblock', method('hexdata dummy', submitBlock)],
  ['gettxout', method('txid n include_mempool', getTxOut)],
  ['gettxspendingprevout', method('outputs', spendingPrevouts)],
  [
    'estimatesmartfee',
    method('conf_target estimate_mode', ({ chain, params }) => {
      const blocks = params.integer(0);
      if (blocks < 1 || blocks > 1008) {
        throw new RpcError(rpcCodes.invalidParameter, 'Invalid conf_target, must be between 1 and 1008');
      }
      return { feerate: bitcoins(BigInt(chain.estimateFeeratePerKw(blocks) * 4)), blocks };
    }),
  ],
  ['getmempoolinfo', method('', mempoolInfo)],
  [
    'getrawmempool',
    method('verbose mempool_sequence', ({ chain, params }) => {
      const entries = chain.mempool.entries();
      if (!params.boolean(0, false)) return entries.map((one) => one.txidHex);
      return Object.fromEntries(entries.map((one) => [one.txidHex, mempoolEntryJson(chain, one)]));
    }),
  ],
  [
    'getmempoolentry',
    method('txid', ({ chain, params }) => {
      const entry = chain.mempool.get(params.hash(0));
      if (entry === undefined) throw new RpcError(rpcCodes.invalidAddressOrKey, 'Transaction not in mempool');
      return mempoolEntryJson(chain, entry);
    }),
  ],
  ['getnetworkinfo', method('', networkInfo)],
  ['generatetoaddress', method('nblocks address maxtries', generateToAddress)],
  ['invalidateblock', method('blockhash', (context) => changeValidity(context, 'invalidateBlock'))],
  ['reconsiderblock', method('blockhash', (context) => changeValidity(context, 'reconsiderBlock'))],
  ['waitfornewblock', method('timeout current_tip', waitForNewBlock)],
  [
    'waitforblockheight',
    method('height timeout', (context) => {
      const height = context.params.integer(0);
      const timeoutMs = context.params.integer(1, 0);
      return waitForTip(context, { timeoutMs, until: () => context.chain.height >= height });
    }),
  ],
  ['uptime', method('', ({ startedAt }) => Math.floor((Date.now() - startedAt) / 1000))],
  [
    'stop',
    method('', ({ stop }) => {
      stop();
      return 'Rivulet regtest stopping';
    }),
  ],
]);
