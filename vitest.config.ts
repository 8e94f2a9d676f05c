import { defineConfig } from 'vitest/config';

/** Tests that want a machine of their own: they measure memory, use up descriptors, or wear all cores for long. */
const LONG = [
  'test/integration/load/bench-echo.test.ts',
  'test/integration/metrics/moves.test.ts',
  'test/integration/websocket/deflate-memory.test.ts',
  'test/integration/websocket/memory.test.ts',
  'test/threads/app/profile.test.ts',
  'test/threads/bus/owners.test.ts',
  'test/threads/bus/topics-checker.test.ts',
  'test/threads/group/descriptors-lifecycle.test.ts',
  'test/threads/group/descriptors-topics.test.ts',
  'test/threads/supervisor/crash.test.ts',
  'test/threads/supervisor/reload.test.ts',
  'test/threads/supervisor/resources.test.ts',
];

/** Ms. They stop what hangs; on a machine that does other work nothing that goes on may meet them. */
const TIMEOUT = 180_000;

const project = (name: string, settings: Record<string, unknown> = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    // The packages of test/contract lead back here.
    exclude: [...LONG, '**/node_modules/**'],
    testTimeout: TIMEOUT,
    hookTimeout: TIMEOUT,
    pool: 'forks' as const,
    // The engine under test comes from dist, as users load it: native ESM, not the test runner's transform.
    server: { deps: { external: [/\/dist\//] } },
    ...settings,
  },
});

/** Of pure functions and objects: a process of its own for each file would take longer than the tests. */
const shared = { isolate: false };

export default defineConfig({
  resolve: {
    alias: [
      { find: /^millrace$/, replacement: new URL('./dist/src/index.js', import.meta.url).pathname },
      {
        find: /^millrace\/bench$/,
        replacement: new URL('./dist/src/load/index.js', import.meta.url).pathname,
      },
    ],
  },
  test: {
    globalSetup: ['test/support/tools/require-build.ts'],
    // Most tests with sockets wait more than they work: one more than the two cores of a small machine.
    maxWorkers: 3,
    projects: [
      project('unit', shared),
      project('conformance', shared),
      project('arch', shared),
      project('fuzz', { ...shared, testTimeout: 3_600_000 }),
      project('threads'),
      project('integration'),
      project('contract'),
      project('services'),
      project('browser'),
      project('long', { include: LONG, exclude: [] }),
    ].map((p) => ({ extends: true as const, ...p })),
  },
});
