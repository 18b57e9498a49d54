/** HubSpot bundles every entry point by itself, from its own folder, with React from outside and no configuration of
 * ours. What only works thanks to our own set-up must fail here, not after an upload. */
import path from 'node:path';
import { build } from 'vite';
import type { Rollup } from 'vite';
import { describe, expect, it } from 'vitest';

const APP = path.resolve(__dirname, '../src/app');
const ENTRIES = ['cards/CompanyCard.tsx', 'cards/DealCard.tsx', 'settings/SettingsPage.tsx'];

const bundle = async (entry: string): Promise<Rollup.OutputChunk> => {
  const file = path.join(APP, entry);
  const made = await build({
    configFile: false,
    logLevel: 'silent',
    root: path.dirname(file),
    define: { 'process.env.NODE_ENV': '"production"' },
    esbuild: { tsconfigRaw: {} }, // our tsconfig.json lies outside what is uploaded
    build: {
      write: false,
      minify: true,
      lib: { entry: file, name: 'card', formats: ['iife'], fileName: () => 'card.js' },
      rollupOptions: {
        external: ['react', 'react-dom', '@remote-ui/react'],
        output: { globals: { react: 'React', 'react-dom': 'ReactDOM', '@remote-ui/react': 'RemoteUI' } },
      },
    },
  });
  const output = (Array.isArray(made) ? made : [made]) as Rollup.RollupOutput[];
  return output[0]?.output[0] as Rollup.OutputChunk;
};

describe.each(ENTRIES)('%s', (entry) => {
  it('bundles alone and keeps within reason', async () => {
    const chunk = await bundle(entry);
    expect(chunk.imports.filter((name) => name !== 'react' && name !== '@remote-ui/react')).toEqual([]);
    expect(chunk.code.length).toBeLessThan(150_000);
  });

  it('touches nothing that a worker does not have', async () => {
    const chunk = await bundle(entry);
    const ours = Object.keys(chunk.modules).filter((id) => !id.includes('node_modules'));
    expect(ours.some((id) => id.endsWith(entry))).toBe(true);
    const code = ours.map((id) => chunk.modules[id]?.code ?? '').join('\n');
    expect(code).toContain('React.createElement(');
    expect(code).not.toMatch(/\b(window|document|localStorage)\.\w|XMLHttpRequest|(?<!hubspot\.)\bfetch\(/);
  });
});
