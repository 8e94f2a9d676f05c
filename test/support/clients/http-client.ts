import { RawClient, type RawResponse } from './raw-client.ts';

/** The text of a request. */
export function requestText(
  method: string,
  path: string,
  headers: Record<string, string | number> = {},
  body = '',
): string {
  const lines = Object.entries({ Host: 'server.test', ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** A request whose body has a Content-Length. The body has one byte a character. */
export function sized(path: string, body: string, headers: Record<string, string> = {}): string {
  return requestText('POST', path, { ...headers, 'Content-Length': body.length }, body);
}

/** A request whose body comes in these chunks. */
export function chunked(path: string, chunks: readonly string[], trailers = ''): string {
  const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
  return requestText('POST', path, { 'Transfer-Encoding': 'chunked' }, `${body}0\r\n${trailers}\r\n`);
}

/** Sends bytes as one connection, and returns the next `count` responses. */
export async function exchange(
  port: number,
  pieces: readonly string[],
  count: number,
): Promise<RawResponse[]> {
  const client = await RawClient.connect(port);
  for (const piece of pieces) {
    client.write(Buffer.from(piece, 'latin1'));
    if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  const responses: RawResponse[] = [];
  while (responses.length < count) responses.push(await client.response());
  client.destroy();
  return responses;
}
