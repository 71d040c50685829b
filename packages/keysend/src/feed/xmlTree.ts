import { XMLParser } from 'fast-xml-parser';
import { KeysendError } from '../keysendError.js';
import { guardXml } from './xmlGuard.js';

/** Whose names an element's is one of: by URI, whatever the prefix. */
type Vocabulary = 'rss' | 'podcast' | 'itunes' | 'atom' | 'other';

export interface XmlElement {
  readonly vocabulary: Vocabulary;
  /** Without its prefix. */
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Its own text and CDATA, trimmed. */
  readonly text: string;
}

/** Only these are kept; with everything else goes what is inside it. */
const KEPT = new Set([
  ...['rss', 'channel', 'item', 'liveItem', 'title', 'guid', 'link', 'enclosure', 'duration', 'medium'],
  ...['value', 'valueRecipient', 'valueTimeSplit', 'remoteItem'],
]);
const MAX_DEPTH = 64;
const MAX_TAGS = 2_000_000;
const MAX_KEPT = 500_000;
const MAX_TAG_LENGTH = 65_536;
/** The parser builds text character by character, at many bytes each. */
const MAX_TEXT_LENGTH = 1_000_000;
const CDATA = '#cdata';
const TEXT = '#text';

/**
 * The elements of a feed that matter. Bounded: what could cost more memory than the document itself was refused
 * before the parser sees it; no entity but XML's own five and numbers is replaced.
 * @throws KeysendError `feed_invalid`.
 */
export function parseXml(text: string, tell: (what: string) => void): XmlElement {
  guardXml(text, {
    maxDepth: MAX_DEPTH,
    maxTags: MAX_TAGS,
    maxTagLength: MAX_TAG_LENGTH,
    maxTextLength: MAX_TEXT_LENGTH,
  });
  let kept = 0;
  const parser = new XMLParser({
    preserveOrder: true,
    attributeNamePrefix: '',
    ignoreAttributes: false,
    allowBooleanAttributes: true,
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: false,
    cdataPropName: CDATA,
    textNodeName: TEXT,
    processEntities: false,
    htmlEntities: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    maxNestedTags: MAX_DEPTH + 1,
    jPath: false,
    updateTag: (tagName) => {
      if (!KEPT.has(localName(tagName))) return false;
      if (++kept > MAX_KEPT) {
        throw new KeysendError('feed_invalid', `The feed has more than ${MAX_KEPT} elements that matter`);
      }
      return true;
    },
  });
  let parsed: unknown;
  try {
    parsed = parser.parse(text);
  } catch (cause) {
    if (cause instanceof KeysendError) throw cause;
    // Names like __proto__ end up here.
    throw new KeysendError('feed_invalid', 'The feed is not valid: the XML cannot be parsed', { cause });
  }
  const told = new Set<string>();
  const tellOnce = (what: string): void => {
    if (!told.has(what)) tell(what);
    told.add(what);
  };
  const root = elementsOf(parsed, new Map(), tellOnce)[0];
  if (root === undefined)
    throw new KeysendError('feed_invalid', 'The feed is not RSS: it has no rss element');
  return root;
}

function elementsOf(
  nodes: unknown,
  scope: ReadonlyMap<string, string>,
  tell: (what: string) => void,
): XmlElement[] {
  if (!Array.isArray(nodes)) return [];
  const elements: XmlElement[] = [];
  for (const node of nodes as readonly Record<string, unknown>[]) {
    const tag = Object.keys(node).find((key) => key !== ':@' && key !== TEXT && key !== CDATA);
    if (tag === undefined) continue;
    const attributes = attributesOf(node[':@']);
    const inner = scopeWith(scope, attributes);
    elements.push({
      vocabulary: vocabularyOf(tag, inner, tell),
      name: localName(tag),
      attributes,
      children: elementsOf(node[tag], inner, tell),
      text: textOf(node[tag]).trim(),
    });
  }
  return elements;
}

function attributesOf(node: unknown): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  if (typeof node !== 'object' || node === null) return attributes;
  for (const [name, value] of Object.entries(node)) {
    // One without a value is `true`.
    attributes.set(name, typeof value === 'string' ? withoutReferences(value).trim() : '');
  }
  return attributes;
}

function scopeWith(
  scope: ReadonlyMap<string, string>,
  attributes: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  let inner: Map<string, string> | undefined;
  for (const [name, value] of attributes) {
    if (name !== 'xmlns' && !name.startsWith('xmlns:')) continue;
    inner ??= new Map(scope);
    inner.set(name === 'xmlns' ? '' : name.slice(6), value);
  }
  return inner ?? scope;
}

const VOCABULARIES = new Map<string, Vocabulary>([
  ['podcastindex.org/namespace/1.0', 'podcast'],
  ['github.com/podcastindex-org/podcast-namespace/blob/main/docs/1.0.md', 'podcast'],
  ['github.com/podcastindex-org/podcast-namespace/blob/master/docs/1.0.md', 'podcast'],
  ['www.itunes.com/dtds/podcast-1.0.dtd', 'itunes'],
  ['www.w3.org/2005/atom', 'atom'],
]);

function vocabularyOf(
  tag: string,
  scope: ReadonlyMap<string, string>,
  tell: (what: string) => void,
): Vocabulary {
  const colon = tag.indexOf(':');
  const prefix = colon === -1 ? '' : tag.slice(0, colon);
  const uri = scope.get(prefix);
  if (uri === undefined) {
    if (prefix === '') return 'rss';
    if (prefix !== 'podcast' && prefix !== 'itunes') return 'other';
    tell(`the namespace prefix ${prefix} is not declared: taken for the usual one`);
    return prefix;
  }
  // Written with http and https, with and without a slash at the end, in either case.
  const written = uri
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/$/, '');
  return VOCABULARIES.get(written) ?? (prefix === '' ? 'rss' : 'other');
}

function textOf(nodes: unknown): string {
  if (!Array.isArray(nodes)) return '';
  let text = '';
  for (const node of nodes as readonly Record<string, unknown>[]) {
    const own = node[TEXT];
    if (typeof own === 'string') text += withoutReferences(own);
    const cdata = node[CDATA];
    if (Array.isArray(cdata)) {
      for (const part of cdata as readonly Record<string, unknown>[]) {
        if (typeof part[TEXT] === 'string') text += part[TEXT];
      }
    }
  }
  return text;
}

const ENTITIES = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

/** Once, from left to right: what comes out is not looked at again. */
function withoutReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi, (all, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES.get(name as string) ?? all;
    const code = decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal);
    const invalid = code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff);
    return invalid ? '\ufffd' : String.fromCodePoint(code);
  });
}

function localName(tag: string): string {
  return tag.slice(tag.indexOf(':') + 1);
}
