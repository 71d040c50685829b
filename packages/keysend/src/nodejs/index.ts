export { loadToolkitSecret } from './toolkitSecret.js';
