export { type ApiServer, type ApiServerOptions, startApiServer } from './apiServer.js';
export { ApiServerError, type ApiServerErrorCode } from './apiServerError.js';
