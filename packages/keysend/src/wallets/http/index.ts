export { fromBase64, toBase64 } from './base64.js';
export { Deadline } from './deadline.js';
export { shownText } from './hideSecrets.js';
export { errorOfProblem, HttpProblem, outcomeBefore, outcomeOfProblem } from './httpProblem.js';
export {
  type WalletFetch,
  WalletHttp,
  type WalletHttpRequest,
} from './walletHttp.js';
