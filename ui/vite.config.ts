import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

// Only index.html is built: harness.html exists for pictures and is served by the development server alone.
export default defineConfig({
  plugins: [
    // Dependencies ship their own sources; virtua is not written in runes throughout.
    svelte({ compilerOptions: { runes: true }, dynamicCompileOptions: dependenciesDecide }),
    svelteTesting(),
  ],
  clearScreen: false,
  server: { host: '127.0.0.1', port: 1420, strictPort: true },
  build: {
    target: ['safari17.5', 'chrome123'],
    // The content security policy allows no data: fonts and no inline scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts'],
    setupFiles: ['src/test-setup.ts'],
    restoreMocks: true,
  },
});

function dependenciesDecide({ filename }: { filename: string }) {
  return filename.includes('node_modules') ? { runes: undefined } : undefined;
}
