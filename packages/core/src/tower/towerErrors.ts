/** The `error_code` of a tower's answers. */
export const towerErrorCodes = {
  missingField: 1,
  emptyField: 2,
  wrongFieldType: 3,
  wrongFieldSize: 4,
  wrongFieldFormat: 5,
  invalidRequestFormat: 6,
  invalidSignatureOrSubscription: 7,
  serviceUnavailable: 32,
  fieldTooSmall: 33,
  fieldTooBig: 34,
  alreadyTriggered: 35,
  notFound: 36,
  resourceExhausted: 65,
  unexpected: 255,
} as const;
