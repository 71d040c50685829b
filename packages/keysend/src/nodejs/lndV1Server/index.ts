export {
  createLndV1Handler,
  type LndV1Handler,
  type LndV1Options,
  type LndV1Server,
  startLndV1Server,
} from './lndV1Server.js';
