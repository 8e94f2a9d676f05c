/** A slow and obvious reader of whole request heads, with regular expressions, to compare the parser with. */
export interface ReferenceHead {
  method: string;
  minorVersion: number;
  target: string;
  path: string;
  query: string;
  headers: [string, string][];
  contentLength: number;
  chunked: boolean;
  keepAlive: boolean;
  expectContinue: boolean;
  raw: string;
  consumed: number;
}

const REQUEST_LINE =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21\x22\x24-\x5b\x5d-\x7e\x80-\xff]+) HTTP\/1\.([0-9])$/;
const FIELD_LINE =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[ \t]*$/;
const HOST =
  /^(?:\[(?=[^\]]*:[^\]]*:)[0-9a-f:.]+\]|(?:[a-z0-9\-._~!$&'()*+;=]|%[0-9a-f]{2})+)(?::(\d{0,5}))?$/i;
const ABSOLUTE = /^https?:\/\/([^/?]*)(.*)$/i;

/** The head at the beginning of `text`, or undefined if there is no whole, valid one. */
export function referenceHead(text: string): ReferenceHead | undefined {
  const start = text.startsWith('\r\n') ? 2 : 0;
  const end = text.indexOf('\r\n\r\n', start);
  if (end < 0) return undefined;
  const [requestLine, ...fieldLines] = text.slice(start, end).split('\r\n');
  const line = REQUEST_LINE.exec(requestLine!);
  const fields = fieldLines.map((fieldLine) => FIELD_LINE.exec(fieldLine));
  if (line === null || fields.includes(null)) return undefined;
  const headers = fields.map((field): [string, string] => [field![1]!.toLowerCase(), field![2]!]);
  const valuesOf = (name: string) =>
    headers.filter((header) => header[0] === name).map((header) => header[1]);

  const hosts = valuesOf('host');
  const minorVersion = Math.min(Number(line[3]), 1);
  if (hosts.length > 1 || hosts.length < minorVersion || hosts.some((host) => !isHost(host)))
    return undefined;
  const target = splitTarget(line[1]!, line[2]!, hosts[0]);
  if (target === undefined) return undefined;

  const lengths = valuesOf('content-length');
  const encodings = valuesOf('transfer-encoding');
  if (lengths.length + encodings.length > 1 || encodings.length > minorVersion) return undefined;
  if (lengths.some((value) => !/^(0|[1-9][0-9]*)$/.test(value) || BigInt(value) >= 2n ** 53n))
    return undefined;
  if (encodings.some((value) => value.toLowerCase() !== 'chunked')) return undefined;

  const expectations = membersOf(valuesOf('expect')).filter((member) => member !== '');
  if (expectations.some((member) => member !== '100-continue')) return undefined;

  const options = membersOf(valuesOf('connection'));
  return {
    method: line[1]!,
    minorVersion,
    target: decoded(line[2]!),
    path: decoded(target.path),
    query: decoded(target.query),
    headers: headers.map(([name, value]) => [name, decoded(value)]),
    contentLength: lengths.length === 0 ? -1 : Number(lengths[0]),
    chunked: encodings.length === 1,
    keepAlive: !options.includes('close') && (minorVersion === 1 || options.includes('keep-alive')),
    expectContinue: expectations.length > 0 && minorVersion === 1,
    raw: text.slice(start, end + 4),
    consumed: end + 4,
  };
}

/** The members of lists, in lower case. */
function membersOf(values: string[]): string[] {
  return values
    .flatMap((value) => value.toLowerCase().split(','))
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''));
}

/** Of a text with a character for each byte. */
function decoded(text: string): string {
  return Buffer.from(text, 'latin1').toString();
}

function isHost(value: string): boolean {
  const match = HOST.exec(value);
  return match !== null && Number(match[1] ?? 0) <= 65_535;
}

function splitTarget(
  method: string,
  target: string,
  host: string | undefined,
): { path: string; query: string } | undefined {
  let pathAndQuery = target;
  if (!target.startsWith('/')) {
    if (target === '*') return method === 'OPTIONS' ? { path: '*', query: '' } : undefined;
    const absolute = ABSOLUTE.exec(target);
    if (absolute === null || method === 'CONNECT' || !isHost(absolute[1]!)) return undefined;
    if (host !== undefined && absolute[1]!.toLowerCase() !== host.toLowerCase()) return undefined;
    pathAndQuery = absolute[2]!;
  }
  const mark = pathAndQuery.indexOf('?');
  const path = mark < 0 ? pathAndQuery : pathAndQuery.slice(0, mark);
  return { path: path === '' ? '/' : path, query: mark < 0 ? '' : pathAndQuery.slice(mark + 1) };
}
