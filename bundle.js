/**
 * Makes what users start, dist/bin/: each program in one file beside what they share, since Node takes
 * 0.15 s to load our 400 modules one by one. Types are stripped, not checked (`npm run typecheck` does
 * that), so `npm start` waits for half a second here. Libraries stay in node_modules.
 */
import { build } from 'rolldown';

await build({
  input: { exoscope: './server/main.ts', session: './server/fleet/session-main.ts' },
  platform: 'node',
  external: /^[a-z@]/,
  output: { dir: 'dist/bin', sourcemap: true, chunkFileNames: '[name].js' },
});
