import { memoryStore } from '../store/memoryStore.js';
import { boostStoreSuite } from './boostStoreSuite.test.support.js';
import { keyedBoosts } from './keyedBoosts.js';

boostStoreSuite('in any store', () => {
  const store = memoryStore();
  return { store, boosts: keyedBoosts(store), close: () => store.close() };
});
