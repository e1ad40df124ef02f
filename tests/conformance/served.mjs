// Where the application is: as the runner says in LAURELS_SERVED, or one of the suite's own, stopped after it.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';

export const root = join(import.meta.dirname, '..', '..');

/** The addresses and tokens that serve.py prints; `member` is one whom no other suite touches. */
export async function served(member) {
  const given = process.env.LAURELS_SERVED;
  if (given) return JSON.parse(given);
  const python = process.env.PYTHON ?? join(root, '.venv', 'bin', 'python');
  const server = spawn(python, ['-m', 'tests.conformance.serve', member], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  after(() => server.stdin.end());
  for await (const line of createInterface({ input: server.stdout }))
    if (line.startsWith('{')) return JSON.parse(line);
  throw new Error('the application did not start: see above');
}
