import { KeysendError } from '../keysendError.js';
import { accountRecords } from '../records/writeRecord.js';
import {
  MAX_SPLIT,
  MAX_VALUE_RECIPIENTS,
  type RemoteItem,
  type ValueBlock,
  type ValueRecipient,
  type ValueTimeSplit,
} from '../value/valueBlock.js';
import {
  attribute,
  type Read,
  readBitcoin,
  readFlag,
  readPercentage,
  readSeconds,
  readSplit,
} from './attributes.js';
import { type FeedProblems, quoted, type Where, within } from './feedProblems.js';
import type { XmlElement } from './xmlTree.js';

const MAX_TIME_SPLITS = 10_000;
/** Which of several blocks is taken: the first of these that there is. */
const METHODS = ['keysend', 'lnaddress', 'default', 'amp'];

/**
 * The block of a channel or an item that can be paid over Lightning; of several the one for keysend. `undefined`
 * where there is none, or only one without any recipient in it; a block without recipients where there are some, of
 * whom none can be paid: it still overrides its channel's, which was not meant to be paid here.
 */
export function readValue(parent: XmlElement, where: Where, problems: FeedProblems): ValueBlock | undefined {
  let found: { rank: number; element: XmlElement; method: string; where: Where } | undefined;
  const elements = parent.children.filter((child) => isPodcast(child, 'value'));
  for (const [index, element] of elements.entries()) {
    const at = within(where, elements.length === 1 ? 'value' : `value ${index + 1}`);
    const type = attribute(element, 'type')?.toLowerCase() ?? '';
    const method = attribute(element, 'method')?.toLowerCase() ?? '';
    if (type !== 'lightning' && !(type === '' && METHODS.includes(method))) {
      problems.add(at, `is of type ${quoted(type)}, not lightning: left out`);
      continue;
    }
    if (type === '') problems.add(at, 'has no type: taken for lightning');
    if (method === '') problems.add(at, 'has no method: taken for keysend');
    const place = METHODS.indexOf(method === '' ? 'keysend' : method);
    if (place === -1) {
      problems.add(at, `has the method ${quoted(method)}, which is not known: left out`);
      continue;
    }
    if (found !== undefined && place >= found.rank) {
      problems.add(at, 'is one too many: left out');
      continue;
    }
    if (found !== undefined) problems.add(found.where, 'is left out, as there is another for keysend');
    found = { rank: place, element, method: METHODS[place]!, where: at };
  }
  return found === undefined
    ? undefined
    : readBlock(found.element, found.method, { where: found.where, problems });
}

interface Context {
  readonly where: Where;
  readonly problems: FeedProblems;
}

function readBlock(
  element: XmlElement,
  method: string,
  { where, problems }: Context,
): ValueBlock | undefined {
  const rows = element.children.filter((child) => isPodcast(child, 'valueRecipient'));
  const splits = element.children.filter((child) => isPodcast(child, 'valueTimeSplit'));
  if (element.children.some((child) => isPodcast(child, 'value'))) {
    problems.add(where, 'has another value in it: that one is left out');
  }
  if (rows.length === 0 && splits.length === 0) {
    problems.add(where, 'is empty: left out');
    return undefined;
  }
  const suggested = take(readBitcoin(attribute(element, 'suggested')), { where, problems });
  const recipients = readRecipients(rows, { where, problems });
  if (recipients.length === 0) problems.add(where, 'has no recipient that can be paid');
  if (splits.length > MAX_TIME_SPLITS) {
    problems.add(where, `has more than ${MAX_TIME_SPLITS} time splits: all of them are left out`);
  }
  const timeSplits =
    splits.length > MAX_TIME_SPLITS
      ? []
      : splits
          .map((each, index) =>
            readTimeSplit(each, { where: within(where, `time split ${index + 1}`), problems }),
          )
          .filter((timeSplit) => timeSplit !== undefined);
  return {
    type: 'lightning',
    method,
    ...(suggested === undefined ? {} : { suggestedMsat: suggested }),
    recipients,
    timeSplits,
  };
}

function readRecipients(rows: readonly XmlElement[], { where, problems }: Context): ValueRecipient[] {
  if (rows.length > MAX_VALUE_RECIPIENTS) {
    problems.add(where, `has more than ${MAX_VALUE_RECIPIENTS} recipients: nobody is paid`);
    return [];
  }
  return rows
    .map((element, index) => {
      const name = attribute(element, 'name');
      const label = name === undefined ? `recipient ${index + 1}` : `recipient ${index + 1} ${quoted(name)}`;
      return readRecipient(element, rows.length === 1, { where: within(where, label), problems });
    })
    .filter((recipient) => recipient !== undefined);
}

/** A row is read whole or not at all: without its account it would pay somebody else. */
function readRecipient(element: XmlElement, alone: boolean, context: Context): ValueRecipient | undefined {
  const { where, problems } = context;
  const destination = readAddress(element, context);
  if (destination === undefined) return undefined;
  const customKey = attribute(element, 'customKey');
  const customValue = attribute(element, 'customValue');
  try {
    accountRecords({ customKey, customValue });
  } catch (error) {
    if (!(error instanceof KeysendError)) throw error;
    problems.add(where, `is left out: ${error.message}`);
    return undefined;
  }
  const split = readSplit(attribute(element, 'split'));
  if (split.problem !== undefined) {
    problems.add(
      where,
      split.value === undefined && !alone ? `is left out: it ${split.problem}` : split.problem,
    );
  }
  if (split.value !== undefined && split.value > MAX_SPLIT) {
    problems.add(where, 'is left out: its split does not fit into 64 bits');
    return undefined;
  }
  // The split of a single recipient does not matter.
  const shares = split.value ?? (alone ? 1n : undefined);
  if (shares === undefined) return undefined;
  const name = attribute(element, 'name');
  return {
    ...(name === undefined ? {} : { name }),
    ...destination,
    ...(customKey === undefined ? {} : { customKey }),
    ...(customValue === undefined ? {} : { customValue }),
    split: shares,
    fee: take(readFlag(attribute(element, 'fee')), context) ?? false,
  };
}

const NODE = /^0[23][0-9a-f]{64}$/;
const LNADDRESS =
  /^[a-z0-9._+-]{1,64}@(?:localhost|(?:\d{1,3}\.){3}\d{1,3}|(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63})(?::\d{1,5})?$/;

/** The two forms cannot be taken for each other, so that the address says more than the type. */
function readAddress(
  element: XmlElement,
  { where, problems }: Context,
): Pick<ValueRecipient, 'type' | 'address'> | undefined {
  const type = attribute(element, 'type')?.toLowerCase() ?? '';
  const address =
    attribute(element, 'address')
      ?.toLowerCase()
      .replace(/^lightning:/, '') ?? '';
  if (!['node', 'lnaddress', 'keysend', ''].includes(type)) {
    problems.add(where, `is left out: the type ${quoted(type)} is not known`);
    return undefined;
  }
  const form = NODE.test(address) ? 'node' : LNADDRESS.test(address) ? 'lnaddress' : undefined;
  if (form === undefined) {
    problems.add(where, `is left out: ${quoted(address)} is neither a public key nor name@host`);
    return undefined;
  }
  if (type !== form) problems.add(where, `has the type ${quoted(type)}: its address is a ${form}`);
  return { type: form, address };
}

function readTimeSplit(element: XmlElement, context: Context): ValueTimeSplit | undefined {
  const { where, problems } = context;
  const startSeconds = take(readSeconds(attribute(element, 'startTime')), context);
  const durationSeconds = take(readSeconds(attribute(element, 'duration')), context);
  if (startSeconds === undefined || durationSeconds === undefined || durationSeconds === 0) {
    problems.add(where, 'is left out: it needs a startTime and a duration');
    return undefined;
  }
  const remotePercentage = take(readPercentage(attribute(element, 'remotePercentage')), context);
  if (remotePercentage === undefined) {
    problems.add(where, 'is left out: it does not say how much is for the others');
    return undefined;
  }
  const target = readTarget(element, context);
  if (target === undefined) return undefined;
  return {
    startSeconds,
    durationSeconds,
    remoteStartSeconds: take(readSeconds(attribute(element, 'remoteStartTime')), context) ?? 0,
    remotePercentage,
    target,
  };
}

function readTarget(element: XmlElement, context: Context): ValueTimeSplit['target'] | undefined {
  const { where, problems } = context;
  const remotes = element.children.filter((child) => isPodcast(child, 'remoteItem'));
  const rows = element.children.filter((child) => isPodcast(child, 'valueRecipient'));
  const remote = remotes[0];
  if (remote !== undefined) {
    if (remotes.length > 1) problems.add(where, 'has more than one remoteItem: the first is taken');
    if (rows.length > 0) problems.add(where, 'has a remoteItem and recipients: its recipients are left out');
    const remoteItem = readRemoteItem(remote, context);
    return remoteItem === undefined ? undefined : { type: 'remoteItem', remoteItem };
  }
  const recipients = readRecipients(rows, context);
  if (recipients.length === 0) {
    problems.add(where, 'is left out: it has neither a remoteItem nor a recipient that can be paid');
    return undefined;
  }
  return { type: 'recipients', recipients };
}

function readRemoteItem(element: XmlElement, { where, problems }: Context): RemoteItem | undefined {
  const feedGuid = attribute(element, 'feedGuid')?.toLowerCase();
  const feedUrl = attribute(element, 'feedUrl');
  if (feedGuid === undefined && feedUrl === undefined) {
    problems.add(where, 'is left out: its remoteItem has no feedGuid');
    return undefined;
  }
  if (feedGuid === undefined)
    problems.add(where, 'has a remoteItem without a feedGuid: found by its feedUrl alone');
  const [itemGuid, medium, title] = ['itemGuid', 'medium', 'title'].map((name) => attribute(element, name));
  return {
    feedGuid: feedGuid ?? '',
    ...(feedUrl === undefined ? {} : { feedUrl }),
    ...(itemGuid === undefined ? {} : { itemGuid }),
    ...(medium === undefined ? {} : { medium }),
    ...(title === undefined ? {} : { title }),
  };
}

export function isPodcast(element: XmlElement, name: string): boolean {
  return element.vocabulary === 'podcast' && element.name === name;
}

function take<T>(read: Read<T>, { where, problems }: Context): T | undefined {
  if (read.problem !== undefined) problems.add(where, read.problem);
  return read.value;
}
