// Monaco's language services run in workers of this page's own origin, so that the content security
// policy needs neither `blob:` nor `unsafe-eval`. build.mjs puts the hashed file names in.
/* global WORKERS */
globalThis.MonacoEnvironment = {
  getWorker: (_, label) =>
    new Worker(new URL(WORKERS[label] ?? WORKERS.editor, import.meta.url), { name: label }),
};
