import { KeysendError } from '../keysendError.js';
import type { BoostPage, PageRequest } from './boostStore.js';
import type { ReceivedBoost } from './receivedBoost.js';

/** A place in a list by time of receipt: between a boost and its neighbour. */
interface Place {
  readonly receivedAtMs: number;
  readonly id: number;
}

/** What has to be read for a page. */
export interface PagePlan {
  readonly limit: number;
  /** From there on, not including it. */
  readonly from: Place | undefined;
  /** Whether later ones come first while reading. */
  readonly descending: boolean;
  /** Read against the order that was asked for. */
  readonly backwards: boolean;
}

const defaultLimit = 50;
const maxLimit = 1_000;

/** @throws KeysendError `request_invalid` */
export function planPage({ limit = defaultLimit, order = 'newest', cursor }: PageRequest): PagePlan {
  checkLimit(limit, maxLimit);
  if (cursor === undefined)
    return { limit, from: undefined, descending: order === 'newest', backwards: false };
  const [, direction, time, id] = /^([np])(\d{1,16})\.(\d{1,16})$/.exec(cursor) ?? [];
  if (direction === undefined) {
    throw new KeysendError(
      'request_invalid',
      'this is no cursor of a page: give `next` or `previous` of one',
    );
  }
  const backwards = direction === 'p';
  return {
    limit,
    from: { receivedAtMs: Number(time), id: Number(id) },
    descending: (order === 'newest') !== backwards,
    backwards,
  };
}

/** @throws KeysendError `request_invalid` */
export function checkLimit(limit: number, max: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= max) return;
  throw new KeysendError('request_invalid', `a limit is a whole number from 1 to ${max}, not ${limit}`);
}

/** The page of what was read: up to one more than its limit, in the order of reading. */
export function finishPage(read: readonly ReceivedBoost[], plan: PagePlan): BoostPage {
  const more = read.length > plan.limit;
  const boosts = read.slice(0, plan.limit);
  if (plan.backwards) boosts.reverse();
  const [first] = boosts;
  const last = boosts.at(-1);
  const hasNext = plan.backwards || more;
  const hasPrevious = plan.backwards ? more : plan.from !== undefined;
  return {
    boosts,
    ...(hasNext && last !== undefined ? { next: cursorOf('n', last) } : {}),
    ...(hasPrevious && first !== undefined ? { previous: cursorOf('p', first) } : {}),
  };
}

function cursorOf(direction: 'n' | 'p', { receivedAtMs, id }: Place): string {
  return `${direction}${receivedAtMs}.${id}`;
}
