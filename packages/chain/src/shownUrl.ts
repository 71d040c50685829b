const longestPlainSegment = 15;

/** A URL for messages and logs: without user, password, query, and parts of its path that may be somebody's key. */
export function shownUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return '(not a URL)';
  }
  const path = url.pathname
    .split('/')
    .map((segment) => (segment.length > longestPlainSegment ? '…' : segment))
    .join('/');
  return `${url.protocol}//${url.host}${path === '/' ? '' : path}`;
}
