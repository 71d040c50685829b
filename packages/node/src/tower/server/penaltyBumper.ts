import type { ChainBackend } from '@rivulet/chain';
import { equalBytes } from '@rivulet/core/bytes';
import { bumpOutput } from '@rivulet/core/tower';
import {
  buildSweep,
  inputBaseWeight,
  type SweepInput,
  type Transaction,
  txid,
  weight,
} from '@rivulet/core/tx';
import type { Logger } from '../../logging/index.js';
import type { SweepWallet } from '../../onchain/sweepPorts.js';
import type { Tracked } from './penaltyTracking.js';
import type { TowerLimits } from './towerLimits.js';

export type BumpWallet = SweepWallet;

interface PenaltyBumperOptions {
  readonly backend: Pick<ChainBackend, 'broadcastPackage' | 'estimateFeeratePerKw'>;
  readonly wallet?: BumpWallet | undefined;
  readonly limits: Pick<TowerLimits, 'feeBudgetSat'>;
  readonly logger: Logger;
}

/** The blocks for which the budget is: a day's. */
const budgetBlocks = 144;

/** The last child of a penalty. */
interface Child {
  readonly feeratePerKw: number;
  readonly feeSat: bigint;
  readonly script: Uint8Array;
  readonly height: number;
  readonly rounds: number;
}

/** The feerate rises so much with every block that a child did not help, up to so many times the estimate. */
const risePerBlock = 0.25;
const maxRise = 4;
const targetBlocks = 2;

/** A penalty's pay-to-anchor output: anybody may spend it, with an empty witness, without any signature. */
function anchorInput(tx: Transaction): SweepInput | undefined {
  const index = tx.outputs.findIndex(({ script }) => equalBytes(script, bumpOutput.script));
  const output = tx.outputs[index];
  if (output === undefined) return undefined;
  return {
    outpoint: { txid: txid(tx), index },
    valueSat: output.valueSat,
    script: output.script,
    scriptCode: new Uint8Array(0),
    // Nothing is signed: this is the way on which the empty witness stays as it is.
    taproot: true,
    sequence: 0xfffffffd,
    lockTime: 0,
    weight: inputBaseWeight + 1,
    sign: () => new Uint8Array(64),
    witness: () => [],
  };
}

/** Has children pay for penalties whose fee, which was fixed when they were signed, is too low by now. */
export class PenaltyBumper {
  readonly #options: PenaltyBumperOptions;
  readonly #children = new Map<string, Child>();
  /** What children have cost within the last day, by their penalties. */
  readonly #spent = new Map<string, { readonly feeSat: bigint; readonly height: number }>();

  constructor(options: PenaltyBumperOptions) {
    this.#options = options;
  }

  forget(penaltyId: string): void {
    if (!this.#children.delete(penaltyId)) return;
    this.#options.wallet?.release(reservation(penaltyId));
  }

  /** Whoever has penalties published decides what they cost: more than the budget is not paid in a day. */
  #isWithinBudget(penaltyId: string, { feeSat, height }: { feeSat: bigint; height: number }): boolean {
    let sum = feeSat;
    for (const [id, spent] of this.#spent) {
      if (spent.height <= height - budgetBlocks) this.#spent.delete(id);
      // A child takes the place of the one before.
      else if (id !== penaltyId) sum += spent.feeSat;
    }
    return sum <= this.#options.limits.feeBudgetSat;
  }

  /** Once a block for a penalty that was not mined; does nothing while its own fee is enough. */
  async bump({ penalty, penaltyId, stored }: Tracked, height: number): Promise<void> {
    const { backend, wallet, logger } = this.#options;
    const anchor = anchorInput(penalty);
    if (wallet === undefined || anchor === undefined || stored.feeSat === undefined) return;
    const last = this.#children.get(penaltyId);
    if (last?.height === height) return;
    const estimate = await backend.estimateFeeratePerKw(targetBlocks);
    if (estimate === undefined) return;
    const parentWeight = weight(penalty);
    const ownFeerate = Math.floor((Number(stored.feeSat) * 1000) / parentWeight);
    const rounds = last === undefined ? 0 : last.rounds + 1;
    const feeratePerKw = Math.ceil(estimate * Math.min(maxRise, 1 + rounds * risePerBlock));
    if (feeratePerKw <= ownFeerate) return;
    const feeInputs = await wallet.reserveFeeInputs({
      id: reservation(penaltyId),
      weight: parentWeight + anchor.weight,
      feeratePerKw,
    });
    if (feeInputs === undefined) {
      logger.warn({ feeratePerKw }, 'the wallet of the tower has too little to raise the fee of a penalty');
      return;
    }
    const script = last?.script ?? (await wallet.newScript({ forFees: true }));
    const parents = [{ weight: parentWeight, feeSat: stored.feeSat }];
    const child = buildSweep({ inputs: [anchor, ...feeInputs], script, feeratePerKw, parents });
    if (child === undefined) return;
    const { feeSat } = child;
    if (!this.#isWithinBudget(penaltyId, { feeSat, height })) {
      if (last === undefined) wallet.release(reservation(penaltyId));
      logger.warn(
        { feeSat: String(feeSat) },
        "the tower's budget for fees of penalties is used up for today",
      );
      return;
    }
    this.#children.set(penaltyId, { feeratePerKw, feeSat, script, height, rounds });
    this.#spent.set(penaltyId, { feeSat, height });
    const results = await backend.broadcastPackage([penalty, child.tx]);
    const result = results.at(-1);
    if (result === undefined || result.accepted) logger.info({ feeratePerKw }, 'a child pays for a penalty');
    else logger.warn({ code: result.code }, `the child of a penalty was not taken: ${result.message}`);
  }
}

function reservation(penaltyId: string): string {
  return `tower-bump/${penaltyId}`;
}
