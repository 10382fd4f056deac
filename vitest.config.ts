import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** Tests that drive a whole world: a real provider, the gateway, browsers with cookie jars. */
const stories = ['packages/*/test/{stories,regression}/**/*.test.ts']
/** Tests in a real Chromium, one file at a time: they compete for the processor. */
const e2e = ['packages/*/test/e2e/**/*.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    // Vitest leaves one core free for itself: on two cores that is one file after the other, and twice the time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // What is waited for comes in a moment, on a loaded machine in a few; only a failing test waits so long.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['packages/*/test/**/*.test.ts'], exclude: [...stories, ...e2e] },
      },
      // One process for many files: what a world needs is loaded once. A story keeps nothing outside its world.
      { extends: true, test: { name: 'stories', include: stories, isolate: false } },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: e2e,
          globalSetup: ['packages/testkit/src/ensure-chromium.ts'],
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
