export { cancelFunding, commitBump } from './actions.js';
export { cancellationOf, planBump, planCancel } from './bumping.js';
export { listCoins, outpointText } from './coinStates.js';
export { type ChannelTransactions, channelFee, listHistory } from './history.js';
export {
  checkLabel,
  exportLabels,
  getLabel,
  importLabels,
  labelTarget,
  setLabel,
} from './labels.js';
export { lockCoins, unlockCoins } from './locking.js';
export { commitPsbt, createPsbt, finalizePsbt, inspectPsbt, type PsbtView, signPsbt } from './psbt.js';
export { type Published, WalletPublisher } from './publishing.js';
export { restoreFromScan } from './restore.js';
export { scanBackend } from './scanBackend.js';
export { createWords, deriveNodeSecrets, wordsToSeed } from './seed.js';
export { commitPlan, findSent, planSend, type SendRequest } from './sending.js';
export { openWallet, Wallet } from './wallet.js';
export { WalletError } from './walletError.js';
export type * from './walletTypes.js';
