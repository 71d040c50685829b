export { ClientError, type ClientErrorCode } from './client/clientError.js';
export {
  type CallOptions,
  type ClientOptions,
  createClient,
  type RivuletClient,
} from './client/createClient.js';
export {
  errorBody,
  type ServerErrorCode,
  ServiceError,
  type ServiceErrorCode,
  serverErrorStatus,
} from './contract/apiError.js';
export { apiFile, apiFileName, tokenFileName } from './contract/apiFiles.js';
export type { ChannelInfo, ChannelState, ChannelType } from './contract/channel.js';
export { encodeEvent, encodeResponse } from './contract/encode.js';
export {
  type Endpoint,
  type EndpointName,
  endpoints,
  eventsPath,
  type RequestOf,
  type ResponseOf,
} from './contract/endpoints.js';
export type { DecodedInvoice, HintHopInfo, Invoice } from './contract/invoice.js';
export type { HeldKeysendInfo } from './contract/keysends.js';
export { type NodeEvent, nodeEvent } from './contract/nodeEvent.js';
export type { NodeService } from './contract/nodeService.js';
export type { Payment } from './contract/payment.js';
export type { ForwardingPolicyInfo, ForwardTotalInfo, RouteInfo } from './contract/routing.js';
export type { TowerInfo } from './contract/towers.js';
export type { WalletCoinInfo, WalletTransactionInfo } from './contract/wallet.js';
