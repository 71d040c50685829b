export { ConfigError, type ConfigErrorCode } from './configError.js';
export { type ConfigKey, configKeys } from './configKeys.js';
export {
  type ChainConfig,
  type Config,
  type ConfigSources,
  configFileName,
  findDataDir,
  loadConfig,
  redactedConfig,
} from './loadConfig.js';
