import { KeysendError } from '../keysendError.js';

export interface XmlLimits {
  readonly maxDepth: number;
  readonly maxTags: number;
  /** Characters of one tag with its attributes. */
  readonly maxTagLength: number;
  /** Characters of text in one piece, CDATA apart. */
  readonly maxTextLength: number;
}

const NAME = /[\p{L}_][\p{L}\p{N}_.:·-]*/uy;

/**
 * Goes over a document once, before anything is built of it, and refuses what is not well-formed, what is too deep
 * or too much, and every declaration (`<!DOCTYPE`, `<!ENTITY`): there are no entities to expand or to fetch.
 * @throws KeysendError `feed_invalid`, with line and column.
 */
export function guardXml(text: string, limits: XmlLimits): void {
  const open: string[] = [];
  let tags = 0;
  let roots = 0;
  const refuse = (at: number, what: string): never => {
    throw new KeysendError('feed_invalid', `The feed is not valid: ${what} at ${position(text, at)}`);
  };
  const after = (token: string, from: number, at: number, name: string): number => {
    const found = text.indexOf(token, from);
    return found === -1 ? refuse(at, `${name} that does not end`) : found + token.length;
  };
  for (let at = text.indexOf('<'); at !== -1; ) {
    let end: number;
    if (text.startsWith('<!--', at)) {
      end = after('-->', at + 4, at, 'a comment');
    } else if (text.startsWith('<![CDATA[', at)) {
      end = after(']]>', at + 9, at, 'a CDATA section');
    } else if (text.startsWith('<?', at)) {
      end = after('?>', at + 2, at, 'an instruction');
    } else if (text.startsWith('<!', at)) {
      end = refuse(at, 'a document type or entity declaration, which are not accepted,');
    } else if (text.startsWith('</', at)) {
      const name = nameAt(text, at + 2) ?? refuse(at, 'a tag without a name');
      end = after('>', at + 2 + name.length, at, 'a tag');
      const expected = open.pop();
      if (expected !== name || text.slice(at + 2 + name.length, end - 1).trim() !== '') {
        const instead = expected === undefined ? 'where nothing is open' : `where ${expected} is open`;
        refuse(at, `the end of ${name.slice(0, 60)} ${instead.slice(0, 80)}`);
      }
    } else {
      const name = nameAt(text, at + 1) ?? refuse(at, 'a "<" that begins no tag');
      end = tagEnd(text, at + 1 + name.length, at + limits.maxTagLength);
      if (end === -1) refuse(at, 'a tag that does not end, or is too long,');
      if (++tags > limits.maxTags) refuse(at, `more than ${limits.maxTags} tags`);
      if (open.length === 0 && ++roots > 1) refuse(at, 'a second root element');
      if (text[end - 2] !== '/') {
        if (open.length >= limits.maxDepth) refuse(at, `more than ${limits.maxDepth} nested elements`);
        open.push(name);
      }
    }
    at = text.indexOf('<', end);
    if ((at === -1 ? text.length : at) - end > limits.maxTextLength) refuse(end, 'a text that is too long');
  }
  const last = open.pop();
  if (last !== undefined) refuse(text.length, `the end, where ${last.slice(0, 60)} is still open,`);
  if (roots === 0) refuse(0, 'no XML');
}

function nameAt(text: string, at: number): string | undefined {
  NAME.lastIndex = at;
  return NAME.exec(text)?.[0];
}

/** After the `>` of a start tag; -1 where there is none before `limit`, or another tag begins. */
function tagEnd(text: string, from: number, limit: number): number {
  const stop = Math.min(limit, text.length);
  for (let at = from; at < stop; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x3e) return at + 1;
    if (code === 0x3c) return -1;
    if (code === 0x22 || code === 0x27) {
      const quote = text.charCodeAt(at);
      for (at++; at < stop && text.charCodeAt(at) !== quote; at++);
    }
  }
  return -1;
}

function position(text: string, at: number): string {
  let line = 1;
  let start = 0;
  for (let found = text.indexOf('\n'); found !== -1 && found < at; found = text.indexOf('\n', found + 1)) {
    line++;
    start = found + 1;
  }
  return `line ${line}, column ${at - start + 1}`;
}
