// Operations that a person has named and kept: a list of { name, query }, by name. No variables, for the
// reason that storage.js gives. Knows nothing of where they are kept.

export const MOST = 500;
const LONGEST = 100_000;

/** The list with this operation in it, in place of one of the same name. Throws for no name, no text. */
export function withOperation(list, name, query) {
  const named = name.trim();
  if (!named) throw new Error('Give it a name');
  if (!query?.trim()) throw new Error('There is no operation in this tab');
  if (query.length > LONGEST) throw new Error('This operation is too long to keep');
  const others = list.filter((each) => each.name !== named);
  if (others.length >= MOST) throw new Error(`At most ${MOST} are kept: delete some first`);
  return [...others, { name: named, query }].sort((a, b) => a.name.localeCompare(b.name));
}

/** The list without the one of this name. */
export const withoutOperation = (list, name) => list.filter((each) => each.name !== name);

/** The list as the text of a file. */
export function toFile(list) {
  return JSON.stringify({ laurels: 'operations', version: 1, operations: list }, null, 2) + '\n';
}

/** The list with what a file holds. Throws where that is none of ours; then nothing is taken from it. */
export function withFile(list, text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error('This file is not JSON');
  }
  const { laurels, version, operations } = file ?? {};
  if (laurels !== 'operations' || version !== 1 || !Array.isArray(operations))
    throw new Error('This file holds no saved operations');
  return operations.reduce((taken, each) => {
    if (typeof each?.name !== 'string' || typeof each.query !== 'string')
      throw new Error('An operation in this file has no name or no text');
    return withOperation(taken, each.name, each.query);
  }, list);
}

/** The list that a text in the browser's storage holds; none where it holds none. */
export function fromStorage(text) {
  try {
    return withFile([], text ?? '');
  } catch {
    return [];
  }
}
