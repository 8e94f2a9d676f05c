import { defineConfig } from 'vitest/config';

const project = (name: string, timeout: number) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeout,
    hookTimeout: timeout,
    pool: 'forks' as const,
    // The engine under test comes from dist, as users load it: native ESM, not the test runner's transform.
    server: { deps: { external: [/\/dist\//] } },
  },
});

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
    projects: [
      project('unit', 20_000),
      project('conformance', 60_000),
      project('threads', 90_000),
      project('integration', 90_000),
      project('arch', 60_000),
      project('fuzz', 3_600_000),
      project('contract', 90_000),
      project('services', 90_000),
      project('browser', 120_000),
    ].map((p) => ({ extends: true as const, ...p })),
  },
});
