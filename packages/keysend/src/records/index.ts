export { type JsonObject, type JsonProblem, type JsonValue, parseJson } from './json.js';
export {
  type KnownRecord,
  knownRecord,
  knownRecords,
  type RecordEncoding,
  type RecordName,
  recordName,
  recordType,
} from './knownRecords.js';
export * from './readRecord.js';
export * from './recordRoom.js';
export * from './recordTypes.js';
export * from './writeRecord.js';
