// What GraphiQL keeps in the browser: operations, never what they were run with. Variables hold
// members' addresses and cards, and a browser at work is shared: they stay in the page's memory, and
// the answers with them. What the page opens with gets its ready variables back on the next visit.

const PRIVATE = new Set(['variables', 'headers', 'response', 'hash']); // a tab's hash repeats its variables
// What GraphiQL keeps of the open tab beside the tabs; it would take that for another tab, as the tab's
// variables aren't there to be compared.
const BARE = new Set(['graphiql:query', 'graphiql:variables', 'graphiql:headers']);

/** A `Storage` for GraphiQL over another one, which gets neither variables nor headers nor answers. */
export function withoutVariables(storage, readyVariables) {
  return {
    get length() {
      return storage.length;
    },
    getItem(key) {
      const text = storage.getItem(key);
      return key === 'graphiql:tabState' && text ? withReady(text, readyVariables) : text;
    },
    setItem(key, value) {
      if (!BARE.has(key)) storage.setItem(key, stripped(value));
    },
    removeItem: (key) => storage.removeItem(key),
    clear() {
      const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index));
      keys.filter((key) => key.startsWith('graphiql:')).forEach((key) => storage.removeItem(key));
    },
  };
}

/** JSON without what is private; a text that isn't JSON as it is (GraphiQL stores words and widths). */
export function stripped(text) {
  try {
    return JSON.stringify(JSON.parse(text, (key, value) => (PRIVATE.has(key) ? null : value)));
  } catch {
    return text;
  }
}

function withReady(text, readyVariables) {
  try {
    const state = JSON.parse(text);
    for (const tab of state.tabs) tab.variables ??= readyVariables(tab.operationName) ?? null;
    return JSON.stringify(state);
  } catch {
    return null; // what can't be read is as good as nothing: GraphiQL starts anew
  }
}
