import { defineConfig } from 'vitest/config';

// The renderer of the SDK needs no browser; one React for the cards, the shared package and the tests.
export default defineConfig({
  resolve: { dedupe: ['react', '@hubspot/ui-extensions'] },
  test: { include: ['tests/**/*.test.{ts,tsx}'], environment: 'node', testTimeout: 10_000 },
});
