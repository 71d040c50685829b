export { channelAnnouncementOf, isAnnounced } from './announcement.js';
export * from './channel.js';
export * from './channelCodec.js';
export * from './channelError.js';
export * from './channelNames.js';
export * from './commitmentSpec.js';
export * from './commitments.js';
export * from './htlc.js';
export * from './htlcCodec.js';
export {
  isLostToFees,
  type OutgoingLimits,
  outgoingLimits,
  receivableNowMsat,
  spendableNowMsat,
  surelySpendableMsat,
} from './htlcLimits.js';
export * from './htlcState.js';
export * from './htlcTable.js';
export * from './machine.js';
export * from './opening/index.js';
export { isRestored, restoredChannel } from './restored.js';
export { channelFaults } from './soundness.js';
export * from './step.js';
