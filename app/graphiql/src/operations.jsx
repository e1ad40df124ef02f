// GraphiQL's own list of operations: those that are ready, and those that the person has saved.
import { pick, useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useRef, useState } from 'react';
import { fromStorage, toFile, withFile, withOperation, withoutOperation } from './saved.js';

const KEY = 'saved';

/** The plugin, with these ready operations in it. */
export function operationsPlugin(ready) {
  return { title: 'Operations', icon: Icon, content: () => <Operations ready={ready} /> };
}

/** The name of the one operation in a text; '' where it has none. */
export const nameOf = (query) =>
  /^(?!#).*?\b(?:query|mutation|subscription)\s+([A-Za-z0-9_]+)/m.exec(query ?? '')?.[1] ?? '';

/** A function that opens an operation: in its own tab where it has one, else in a new one. */
export function useOpen() {
  const { queryEditor, variableEditor, tabs } = useGraphiQL(pick('queryEditor', 'variableEditor', 'tabs'));
  const actions = useGraphiQLActions();
  return ({ query, variables = '' }, { over = false } = {}) => {
    if (!queryEditor || !variableEditor) return; // they stand a moment after the page
    const at = tabs.findIndex((tab) => tab.query?.trim() === query.trim());
    if (at >= 0) actions.changeTab(at);
    else actions.addTab();
    if (at >= 0 && !over) return;
    queryEditor.setValue(query);
    variableEditor.setValue(variables);
    actions.updateActiveTabValues({ query, variables });
    // GraphiQL reads the name off the text a moment later: too late for who runs it at once.
    actions.setOperationName(nameOf(query));
  };
}

function Icon() {
  return (
    <svg viewBox="0 0 24 24" width="1em" height="1em" fill="none" stroke="currentColor" strokeWidth="1.5">
      <title>Operations</title>
      <path d="M7 3h10v18l-5-4-5 4z" strokeLinejoin="round" />
    </svg>
  );
}

function Operations({ ready }) {
  const { storage, tabs, activeTabIndex } = useGraphiQL(pick('storage', 'tabs', 'activeTabIndex'));
  const [saved, setSaved] = useState(() => fromStorage(storage.get(KEY)));
  const [said, setSaid] = useState('');
  const open = useOpen();
  const name = useRef(null);
  const file = useRef(null);

  /** Keeps the list that `change` makes of the old one, and says how that went. */
  function keep(change, done) {
    try {
      const next = change(fromStorage(storage.get(KEY))); // another page may have saved one meanwhile
      const { error } = storage.set(KEY, toFile(next));
      if (error) throw new Error('The browser’s storage is full');
      setSaved(next);
      setSaid(done);
      return true;
    } catch (problem) {
      setSaid(problem.message);
      return false;
    }
  }

  function save(event) {
    event.preventDefault();
    const { query } = tabs[activeTabIndex] ?? {};
    const given = name.current.value.trim() || nameOf(query);
    if (keep((list) => withOperation(list, given, query), `Saved as “${given}”`)) name.current.value = '';
  }

  async function take(event) {
    const [chosen] = event.target.files;
    if (chosen) {
      const text = await chosen.text();
      keep((list) => withFile(list, text), `Taken from ${chosen.name}`);
    }
    event.target.value = '';
  }

  return (
    <section className="panel operations" aria-label="Operations">
      <h2>Operations</h2>
      <form onSubmit={save}>
        <label htmlFor="save-as">Save this tab’s operation as</label>
        <input id="save-as" ref={name} maxLength={100} autoComplete="off" placeholder={nameOf(tabs[activeTabIndex]?.query)} />
        <button type="submit" className="button">Save</button>
      </form>
      <p role="status" className="said">{said}</p>
      <h3>Saved</h3>
      {saved.length === 0 && <p className="hint">None yet. Kept in this browser, without variables: those may name members.</p>}
      <ul>
        {saved.map((each) => (
          <li key={each.name}>
            <button type="button" className="open" onClick={() => open(each)}>{each.name}</button>
            <button
              type="button"
              className="quiet"
              aria-label={`Delete ${each.name}`}
              onClick={() => keep((list) => withoutOperation(list, each.name), `Deleted “${each.name}”`)}
            >
              ✕
            </button>
          </li>
        ))}
      </ul>
      <p className="files">
        <button type="button" className="quiet" disabled={!saved.length} onClick={() => download(toFile(saved))}>Export</button>
        <button type="button" className="quiet" onClick={() => file.current.click()}>Import</button>
        <input ref={file} type="file" accept="application/json,.json" hidden aria-label="File of operations" onChange={take} />
      </p>
      <h3>Ready</h3>
      <ul>
        {ready.map((each) => (
          <li key={each.query}>
            <button type="button" className="open" title={each.title} onClick={() => open(each)}>
              {nameOf(each.query)} <small>{each.title}</small>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function download(text) {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = Object.assign(document.createElement('a'), { href: url, download: 'laurels-operations.json' });
  link.click();
  URL.revokeObjectURL(url);
}
