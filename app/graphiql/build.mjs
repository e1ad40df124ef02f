// Builds dist/: the page's script, style, workers and fonts under names that carry their hash, the
// manifest that app/ide.py reads, and the licences of all that is in it. Same packages, same bytes.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

const here = import.meta.dirname;
const dist = join(here, 'dist');

const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  keepNames: true, // GraphiQL titles its icons with the names of their functions
  metafile: true,
  write: false,
  outdir: join(dist, 'static'),
  target: ['chrome111', 'firefox115', 'safari16.4'],
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  legalComments: 'none', // collected in the notices instead
  logLevel: 'warning',
};

const workerSources = {
  editor: 'monaco-editor/esm/vs/editor/editor.worker.js',
  json: 'monaco-editor/esm/vs/language/json/json.worker.js',
  graphql: 'monaco-graphql/esm/graphql.worker.js',
};

// GraphiQL's style holds all of Monaco's, so what Monaco's modules import is dropped. It also embeds
// Roboto and Fira Code as base64, every script at once and without a licence: the fontsource packages
// bring the same two as files that load when needed, with their licence. They name them "… Variable".
const styles = {
  name: 'styles',
  setup({ onLoad }) {
    onLoad({ filter: /graphiql[\\/]dist[\\/]style\.css$/ }, async ({ path }) => {
      const css = await readFile(path, 'utf8');
      const lean = css.replace(/@font-face\s*\{\s*font-family:\s*(Roboto|Fira Code);[^}]*\}/g, '');
      if (lean === css) throw new Error('GraphiQL embeds no fonts any more');
      return { contents: lean, loader: 'css' };
    });
    onLoad({ filter: /monaco-editor[\\/]esm[\\/].*\.css$/ }, () => ({ contents: '', loader: 'css' }));
    onLoad({ filter: /@fontsource-variable[\\/].*\.css$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replaceAll(/'(.+) Variable'/g, "'$1'"),
      loader: 'css',
    }));
  },
};

async function buildWorkers() {
  const labels = Object.keys(workerSources);
  const entryPoints = labels.map((label) => ({ in: workerSources[label], out: `${label}.worker` }));
  return build({ ...shared, entryPoints, format: 'iife' });
}

async function buildPage(workers) {
  return build({
    ...shared,
    entryPoints: ['src/main.jsx'],
    format: 'esm',
    splitting: true,
    jsx: 'automatic',
    plugins: [styles],
    loader: { '.svg': 'file', '.woff2': 'file' },
    define: { WORKERS: JSON.stringify(workers), 'process.env.NODE_ENV': '"production"' },
  });
}

/** The one file name of a build that begins and ends so. */
function named({ outputFiles }, start, end) {
  const names = outputFiles.map(({ path }) => basename(path));
  const found = names.filter((name) => name.startsWith(start) && name.endsWith(end));
  if (found.length !== 1) throw new Error(`${found.length} outputs are called ${start}*${end}`);
  return found[0];
}

/** The packages whose files are in the builds, as folders below node_modules, sorted. */
function packagesIn(builds) {
  const inputs = builds.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const folders = inputs.map((path) => path.match(/^.*node_modules\/(@[^/]+\/)?[^/]+/)?.[0]);
  return [...new Set(folders.filter(Boolean))].sort();
}

function notice(folder) {
  const at = join(here, folder);
  const { name, version, license, homepage } = JSON.parse(readFileSync(join(at, 'package.json')));
  if (!license) throw new Error(`${name} names no licence`);
  const texts = readdirSync(at)
    .filter((file) => /^(licen[cs]e|notice|thirdpartynotices)/i.test(file))
    .sort()
    .map((file) => readFileSync(join(at, file), 'utf8').replaceAll('\r\n', '\n').trim());
  const heading = [`${name} ${version}`, `Licence: ${license}`, homepage].filter(Boolean).join('\n');
  return [heading, ...texts].join('\n\n');
}

// The icon font stands inside GraphiQL's style and comes with no package of its own.
const codicons = `Codicons, the icon font of Monaco Editor
Copyright (c) Microsoft Corporation
Licence: CC-BY-4.0, https://creativecommons.org/licenses/by/4.0/`;

function notices(builds) {
  const rule = `\n\n${'-'.repeat(80)}\n\n`;
  return [...packagesIn(builds).map(notice), codicons].join(rule) + '\n';
}

const workers = await buildWorkers();
const workerNames = Object.keys(workerSources).map((label) => [
  label,
  named(workers, `${label}.worker-`, '.js'),
]);
const page = await buildPage(Object.fromEntries(workerNames));
const legal = notices([workers, page]);
const legalHash = createHash('sha256').update(legal).digest('hex').slice(0, 8).toUpperCase();
const manifest = {
  script: named(page, 'main-', '.js'),
  style: named(page, 'main-', '.css'),
  icon: named(page, 'laurel-', '.svg'),
  notices: `notices-${legalHash}.txt`,
};

// Nothing is written before all of it was built: a failed build leaves the old page standing.
await rm(dist, { recursive: true, force: true });
await mkdir(join(dist, 'static'), { recursive: true });
const files = [...workers.outputFiles, ...page.outputFiles].filter(({ contents }) => contents.length);
await Promise.all(files.map(({ path, contents }) => writeFile(path, contents)));
await writeFile(join(dist, 'static', manifest.notices), legal);
await writeFile(join(dist, 'manifest.json'), JSON.stringify(manifest, null, 2) + '\n');
