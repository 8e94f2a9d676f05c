import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseAst } from 'vitest/node';

/**
 * A function of the user must not be called but by `callUser`, or with a `watch` of what it returns: else a promise that
 * rejects ends the process. Which functions are whose, the compiler's output does not say; so every call of a function
 * that came from elsewhere (a parameter, what was taken out of an object, a field) is either in the list here, or wrong.
 */

const root = new URL('../../dist/src/', import.meta.url);
/** Where functions of the user come in. */
const FOLDERS = ['app', 'serving', 'websocket', 'load', 'stomp'];

/** User code that is called in place, with a `watch` of what it returns, or awaited. */
const WATCHED: Readonly<Record<string, readonly string[]>> = {
  // listen(): what it throws is the caller's.
  'app/listeners.js': ['callback'],
  'app/faces.js': ['handler'],
  'app/http-request.js': ['visit'],
  // cork(): likewise.
  'app/http-response.js': ['callback'],
  'app/web-socket.js': ['callback'],
  'serving/http-dispatcher.js': ['handler'],
  'websocket/websocket-route.js': ['message', 'messageView', 'upgrade'],
  // The app module.
  'app/shard-thread.js': ['run'],
  // What they return, the session waits for.
  'stomp/broker/app-destinations.js': ['handler'],
  'stomp/broker/broker-client.js': ['authorize', 'onSend'],
};

/** Functions of this package. */
const OWN: Readonly<Record<string, readonly string[]>> = {
  'load/options.js': ['isRight'],
  'app/listeners.js': ['bind'],
  'serving/domains.js': ['make'],
  'serving/handler-errors.js': ['callback', 'failed'],
  'app/http-response.js': ['open'],
  'app/web-socket.js': ['live'],
  'app/shard-thread.js': ['tell', 'this.#onDrained', 'this.#onHandover'],
  'serving/handoff-intake.js': ['this.#onArrived'],
  'serving/raw-endpoint.js': ['protocolOf'],
  'app/shared-map.js': ['action', 'visit'],
  'app/tls-source.js': ['source'],
  'load/load-thread.js': ['this.#post'],
  'load/sampler.js': ['this.#onSample'],
  'load/report/axis.js': ['label'],
  'load/report/chart.js': ['describeX', 'describeY'],
  'load/report/charts.js': ['open'],
  'stomp/broker/broker-client.js': ['run'],
  'stomp/broker/queues/batch.js': ['errorOf', 'this.#resolve'],
  'stomp/session/session.js': ['ask', 'failed', 'run', 'then'],
};

/** What the executor of a promise is given, and the compiler's helpers. */
const IGNORED = /^(resolve|reject|__\w+)$/;

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof (value as Node | null)?.type === 'string';
}

function children(node: Node): Node[] {
  return Object.values(node)
    .flatMap((value) => (Array.isArray(value) ? value : [value]))
    .filter(isNode);
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const child of children(node)) walk(child, visit);
}

function nameOf(node: unknown): string {
  const { type, name } = node as { type: string; name?: string };
  return type === 'PrivateIdentifier' ? `#${name}` : type === 'Identifier' ? String(name) : '';
}

/** Names that a pattern binds. */
function bound(pattern: Node): string[] {
  if (pattern.type === 'Identifier') return [nameOf(pattern)];
  if (pattern.type === 'Property') return bound(pattern['value'] as Node);
  if (pattern.type === 'AssignmentPattern') return bound(pattern['left'] as Node);
  return children(pattern).flatMap(bound);
}

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);

/** Methods of all classes, and of objects that are written out. */
function methodsOf(program: Node): string[] {
  const names: string[] = [];
  walk(program, (node) => {
    if (node.type === 'MethodDefinition') names.push(nameOf(node['key']));
    // A field that is written as a function is a method.
    if (node.type === 'PropertyDefinition' && FUNCTIONS.has((node['value'] as Node | null)?.type ?? '')) {
      names.push(nameOf(node['key']));
    }
  });
  return names;
}

/** Names of functions that this module calls and has not made. */
function foreignCalls(source: string, methods: ReadonlySet<string>): string[] {
  const program = programOf(source);
  const foreign = new Set<string>();
  walk(program, (node) => {
    if (FUNCTIONS.has(node.type)) {
      for (const name of (node['params'] as Node[]).flatMap(bound)) foreign.add(name);
    } else if (node.type === 'VariableDeclarator') {
      const init = node['init'] as Node | null;
      const isOwn = init !== null && FUNCTIONS.has(init.type);
      if (!isOwn) for (const name of bound(node['id'] as Node)) foreign.add(name);
    }
  });
  const found = new Set<string>();
  walk(program, (node) => {
    if (node.type !== 'CallExpression') return;
    let callee = node['callee'] as Node;
    if (callee.type === 'ChainExpression') callee = callee['expression'] as Node;
    if (callee.type === 'Identifier') {
      if (foreign.has(nameOf(callee))) found.add(nameOf(callee));
    } else if (callee.type === 'MemberExpression' && (callee['object'] as Node).type === 'ThisExpression') {
      const name = nameOf(callee['property']);
      if (!methods.has(name)) found.add(`this.${name}`);
    }
  });
  return [...found].filter((name) => !IGNORED.test(name));
}

function programOf(source: string): Node {
  return parseAst(source) as unknown as Node;
}

const files = FOLDERS.flatMap((folder) =>
  readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.js'))
    .map((file) => `${folder}/${file}`),
);
const sources = new Map(
  files.map((file) => [file, readFileSync(fileURLToPath(new URL(file, root)), 'utf8')]),
);
const methods = new Set([...sources.values()].flatMap((source) => methodsOf(programOf(source))));

describe('functions that came from elsewhere', () => {
  it.each(files)('are called in %s by callUser, if they are the user’s', (file) => {
    const known = new Set([...(WATCHED[file] ?? []), ...(OWN[file] ?? [])]);
    expect(
      foreignCalls(sources.get(file)!, methods).filter((name) => !known.has(name)),
      'call it by callUser (src/user-code.ts), or list it here as a function of this package',
    ).toEqual([]);
  });

  it('are listed here as long as they are there', () => {
    const listed = [WATCHED, OWN].flatMap((list) =>
      Object.entries(list).flatMap(([file, names]) => names.map((name) => `${file} ${name}`)),
    );
    const found = new Set(
      files.flatMap((file) => foreignCalls(sources.get(file)!, methods).map((name) => `${file} ${name}`)),
    );
    expect(listed.filter((call) => !found.has(call))).toEqual([]);
  });

  it.each([
    ['class A { on(callback) { callback(); } }', ['callback']],
    ['class A { on({ handler }) { handler?.(1); } }', ['handler']],
    ['class A { #h; on(h) { this.#h = h; } fire() { this.#h(); } }', ['this.#h']],
    ['class A { fire() { const { open } = this.behavior; if (open) open(); } }', ['open']],
    ['const call = (handler = () => {}) => handler();', ['handler']],
    ['import { callUser } from "x"; class A { #own() {} go(c) { this.#own(); callUser(c); } }', []],
    ['function own() {} const other = () => own(); other();', []],
  ])('are found: in %j', (source, calls) => {
    expect(foreignCalls(source, new Set(methodsOf(programOf(source))))).toEqual(calls);
  });
});
