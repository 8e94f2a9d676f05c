import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Each row: a file that breaks a rule of the layers, and what it imports or does. */
const BREACHES: [file: string, source: string][] = [
  ['src/errors.ts', "import './protocol/opcode.ts';"],
  ['src/printable.ts', "import './errors.ts';"],
  ['src/user-code.ts', "import './net/counter.ts';"],
  ['src/caller-values.ts', "import './app/app.ts';"],
  ['src/keyed-hash.ts', "import './app/app.ts';"],
  ['src/protocol/planted.ts', "import '../net/transport.ts';"],
  ['src/protocol/planted.ts', "import '../http/router.ts';"],
  ['src/protocol/planted.ts', "import 'node:crypto';"],
  ['src/protocol/planted.ts', 'export const b = Buffer.alloc(1);'],
  ['src/http/planted.ts', "import '../protocol/opcode.ts';"],
  ['src/ring/planted.ts', "import '../pubsub/topic-tree.ts';"],
  ['src/pubsub/planted.ts', "import 'piscina';"],
  ['src/stomp/codec/planted.ts', "import '../../net/native-ports.ts';"],
  ['src/stomp/codec/planted.ts', 'export const b = Buffer.alloc(1);'],
  ['src/stomp/session/planted.ts', "import '../../bus/bus.ts';"],
  ['src/stomp/queue/planted.ts', "import '../session/session.ts';\nimport '../../bus/bus.ts';"],
  ['src/net/planted.ts', "import '../shard/shard.ts';"],
  ['src/net/planted.ts', "import '../ring/byte-ring.ts';"],
  ['src/options/planted.ts', "import '../net/transport.ts';"],
  ['src/metrics/planted.ts', "import '../ring/byte-ring.ts';"],
  ['src/admission/planted.ts', "import '../shard/control-message.ts';"],
  ['src/admission/planted.ts', "import '../bus/bus.ts';"],
  ['src/bus/planted.ts', "import '../shard/shard.ts';"],
  ['src/bus/planted.ts', "import type { Transport } from '../net/transport.ts';"],
  ['src/bus/planted.ts', "import '../admission/gate.ts';"],
  ['src/shard/planted.ts', "import '../app/app.ts';"],
  ['src/shard/planted.ts', "import '../acceptor/acceptor.ts';"],
  ['src/shard/planted.ts', "import '../supervisor/supervisor.ts';"],
  ['src/acceptor/planted.ts', "import '../serving/http-server.ts';"],
  ['src/acceptor/planted.ts', "import '../supervisor/supervisor.ts';"],
  ['src/serving/planted.ts', "import '../app/app.ts';"],
  ['src/serving/planted.ts', "import '../acceptor/acceptor.ts';"],
  ['src/serving/planted.ts', "import '../websocket/session.ts';"],
  ['src/serving/planted.ts', "import type { WebSocketRoute } from '../websocket/websocket-route.ts';"],
  ['src/serving/planted.ts', "import type { TemplatedApp } from '../app/app.ts';"],
  ['src/websocket/planted.ts', "import '../app/app.ts';"],
  ['src/websocket/planted.ts', "import type { TemplatedApp } from '../app/app.ts';"],
  ['src/websocket/planted.ts', "import '../group/app-group.ts';"],
  ['src/supervisor/planted.ts', "import '../group/app-group.ts';"],
  ['src/supervisor/planted.ts', "import '../serving/http-server.ts';"],
  ['src/group/planted.ts', "import '../supervisor/supervisor.ts';"],
  ['src/group/planted.ts', "import '../websocket/session.ts';"],
  ['src/app/planted.ts', "import '../cli/main.ts';"],
  ['src/load/planted.ts', "import '../net/transport.ts';"],
  ['src/load/planted.ts', "import '../shard/shard.ts';"],
  ['src/load/scenarios/planted.ts', "import '../../app/app.ts';"],
  ['src/profile/planted.ts', "import '../app/serve.ts';"],
  ['src/profile/planted.ts', "import '../shard/thread-profiler.ts';"],
  ['src/profile/planted.ts', "import 'piscina';"],
  ['src/stomp/broker/planted.ts', "import '../../supervisor/supervisor.ts';"],
  ['src/stomp/front/planted.ts', "import '../../acceptor/acceptor.ts';"],
  ['src/cli/planted.ts', "import '../shard/shard.ts';"],
  ['src/cli/commands/planted.ts', "import '../../net/transport.ts';"],
  ['workers/planted.ts', "import '../src/net/transport.ts';"],
];

const ALLOWED: [file: string, source: string][] = [
  ['src/protocol/planted.ts', "import '../errors.ts';\nimport './opcode.ts';"],
  ['src/user-code.ts', "import 'node:util';\nimport './error-report.ts';"],
  ['src/net/planted.ts', "import 'node:net';\nimport '../protocol/opcode.ts';"],
  ['src/net/planted.ts', "import '../metrics/counter.ts';"],
  ['src/admission/planted.ts', "import '../net/transport.ts';\nimport '../metrics/control-block.ts';"],
  [
    'src/bus/planted.ts',
    "import '../ring/byte-ring.ts';\nimport '../net/write-memory.ts';\nimport '../pubsub/topic-tree.ts';",
  ],
  ['src/shard/planted.ts', "import '../bus/bus.ts';\nimport '../admission/address-table.ts';"],
  ['src/acceptor/planted.ts', "import '../shard/control-message.ts';\nimport '../admission/gate.ts';"],
  ['src/serving/planted.ts', "import '../shard/shard.ts';\nimport '../admission/gate.ts';"],
  ['src/websocket/planted.ts', "import '../serving/http-server.ts';\nimport '../shard/shard.ts';"],
  ['src/supervisor/planted.ts', "import '../shard/control-message.ts';\nimport '../bus/publisher.ts';"],
  ['src/group/planted.ts', "import '../shard/shard.ts';\nimport '../acceptor/intake.ts';"],
  ['src/app/planted.ts', "import '../supervisor/supervisor.ts';\nimport '../websocket/session.ts';"],
  ['src/load/planted.ts', "import 'node:net';\nimport '../protocol/opcode.ts';\nimport 'hdr-histogram-js';"],
  ['src/profile/planted.ts', "import 'node:fs';\nimport '../errors.ts';"],
  [
    'src/cli/planted.ts',
    "import '../app/serve.ts';\nimport '../load/index.ts';\nimport '../profile/flamegraph.ts';",
  ],
  ['workers/planted.ts', "import '../src/app/shard-thread.ts';"],
];

describe('the layers', () => {
  let tree = '';
  beforeAll(() => {
    tree = mkdtempSync(join(tmpdir(), 'millrace-layers-'));
    cpSync(join(root, '.oxlintrc.json'), join(tree, '.oxlintrc.json'));
  });
  afterAll(() => {
    rmSync(tree, { recursive: true });
  });

  /** Lints one planted file with the repository's rules and returns the names of the rules it breaks. */
  const lint = (file: string, source: string): string => {
    const path = join(tree, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${source}\n`);
    const result = spawnSync(join(root, 'node_modules/.bin/oxlint'), [file], { cwd: tree, encoding: 'utf8' });
    rmSync(path);
    return result.stdout;
  };

  it.each(BREACHES)('are kept by the linter: %s must not hold `%s`', (file, source) => {
    expect(lint(file, source)).toMatch(/no-restricted-imports|no-nodejs-modules|no-restricted-globals/);
  });

  it.each(ALLOWED)('let %s hold `%s`', (file, source) => {
    expect(lint(file, source)).not.toMatch(/no-restricted-imports|no-nodejs-modules|no-restricted-globals/);
  });

  it('have no cycle of imports that run', () => {
    const graph = importGraph(runningImports);
    expect(graph.size).toBeGreaterThan(40);
    expect(findCycle(graph)).toEqual([]);
  });

  it.each([[['src/serving', 'src/websocket', 'src/app']]])(
    'have no cycle of imports, of types either, in %j',
    (folders) => {
      const graph = importGraph(allImports);
      for (const file of graph.keys()) {
        if (!folders.some((folder) => file.startsWith(`${folder}/`))) graph.delete(file);
      }
      expect(graph.size).toBeGreaterThan(10);
      expect(findCycle(graph)).toEqual([]);
    },
  );

  it('are shown to have a cycle where there is one', () => {
    const there = "import { a } from './a.ts';\nimport { type C, type D } from './c.ts';";
    const back = "import type { B } from './b.ts';\nexport type { E } from './e.ts';";
    expect(runningImports(there)).toEqual(['./a.ts']);
    expect(runningImports(back)).toEqual([]);
    expect(allImports(there)).toEqual(['./a.ts', './c.ts']);
    expect(allImports(back)).toEqual(['./b.ts', './e.ts']);
    expect(
      findCycle(
        new Map([
          ['z', ['b']],
          ['b', ['a', 'c']],
          ['a', ['b']],
        ]),
      ),
    ).toEqual(['b', 'a', 'b']);
  });
});

/** What a source file imports or re-exports from this package, types included. */
function allImports(text: string): string[] {
  return Array.from(text.matchAll(/^(?:import|export)\s[^;]*?from '(\.[^']+)'/gm), ([, path = '']) => path);
}

/** The same without what is gone when the program runs. */
function runningImports(text: string): string[] {
  const imports = Array.from(text.matchAll(/^(?:import|export)\s(?!type\b)([^;]*?)from '(\.[^']+)'/gm));
  const running = imports.filter(([, names = '']) => {
    const list = names
      .replace(/[{}]/g, '')
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean);
    return !list.every((name) => name.startsWith('type '));
  });
  return running.map(([, , path = '']) => path);
}

/** Every source file with the source files it imports. */
function importGraph(importsOf: (text: string) => string[]): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  for (const top of ['src', 'workers']) {
    for (const entry of readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts')) continue;
      const file = join(root, top, entry);
      const paths = importsOf(readFileSync(file, 'utf8'));
      graph.set(
        relative(root, file),
        paths.map((path) => relative(root, resolve(dirname(file), path))),
      );
    }
  }
  return graph;
}

function findCycle(graph: Map<string, string[]>): string[] {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next, [...path, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
