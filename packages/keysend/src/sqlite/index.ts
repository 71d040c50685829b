export { openToolkit, type Toolkit } from './openToolkit.js';
