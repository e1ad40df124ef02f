// The admin's GraphiQL page. It reads what it needs from the page's `graphiql-config` block:
//   { url, subscriptionUrl, session, signIn?, tabs: [{ title?, query, variables?, opened }] }
import './workers.js';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { GraphiQL } from 'graphiql';
import { useEffect, useMemo, useRef, useState } from 'react';
import { createPortal } from 'react-dom';
import { createRoot } from 'react-dom/client';
import '@fontsource-variable/fira-code/wght.css';
import '@fontsource-variable/roboto/wght.css';
import 'graphiql/style.css';
import './page.css';
import { Bar } from './bar.jsx';
import { Login, Replacing } from './login.jsx';
import { nameOf, operationsPlugin } from './operations.jsx';
import { PICTURES } from './panel.jsx';
import { Search } from './search.jsx';
import { endSession, openSession, readSession } from './session.js';
import { withoutVariables } from './storage.js';
import { takeToken } from './token.js';
import { connect } from './transport.js';

const config = JSON.parse(document.getElementById('graphiql-config').textContent);
const ready = config.tabs.map((tab) => ({ ...tab, query: tab.title ? `# ${tab.title}\n${tab.query}` : tab.query }));
const opened = ready.filter((tab) => tab.opened).map(({ query, variables }) => ({ query, variables }));
const member = ready.find((tab) => nameOf(tab.query) === 'FindMember');
const plugins = [PICTURES, operationsPlugin(ready), HISTORY_PLUGIN];
const storage = withoutVariables(
  localStorage,
  (name) => ready.find((tab) => name && nameOf(tab.query) === name)?.variables,
);
// The first visit begins with the pictures open, where there is room for them.
const visible = storage.getItem('graphiql:tabState') || innerWidth < 1000 ? undefined : PICTURES.title;

/**
 * Who is signed in. A token in the address is traded for a session where nobody is; where somebody is it
 * comes back, to be asked about: anybody can make a link, and what is done next is done as whoever it names.
 */
async function arrive() {
  const token = takeToken();
  const session = await readSession(config.session);
  if (token && !session) return { session: await openSession(config.session, token) };
  return { session, token };
}

function Page() {
  const [session, setSession] = useState(undefined); // undefined: nobody knows yet; null: nobody
  const whose = useRef(null); // whose tabs these are, also once a session has ended
  const [problem, setProblem] = useState('');
  const [offered, setOffered] = useState(''); // a link's token, while somebody else is signed in
  const [slot, setSlot] = useState(null);
  const fetcher = useMemo(() => connect(config, () => setSession(null)), []);

  function enter(next) {
    // Another person's tabs and answers are no business of this one.
    if (whose.current && next && whose.current !== identity(next)) return location.reload();
    if (next) whose.current = identity(next);
    setProblem('');
    setOffered('');
    setSession(next);
  }

  async function replace() {
    try {
      enter(await openSession(config.session, offered));
    } catch ({ message }) {
      setProblem(message); // and whoever is signed in still is
      setOffered('');
    }
  }

  useEffect(() => {
    const come = () =>
      arrive().then(
        ({ session, token }) => {
          enter(session);
          if (token) setOffered(token);
        },
        ({ message }) => {
          setProblem(message);
          setSession(null);
        },
      );
    come();
    // A second demo link opened in this tab changes nothing but the fragment.
    const onHashChange = () => location.hash.includes('token=') && come();
    addEventListener('hashchange', onHashChange);
    return () => removeEventListener('hashchange', onHashChange);
  }, []);

  useEffect(() => {
    if (!session?.ends) return undefined;
    const left = Math.min(Math.max(session.ends - Date.now(), 0), 2 ** 31 - 1);
    const timer = setTimeout(() => readSession(config.session).then(enter, () => setSession(null)), left);
    return () => clearTimeout(timer);
  }, [session]);

  async function signOut() {
    try {
      await endSession(config.session);
      location.reload(); // the answers and the variables go with the page
    } catch ({ message }) {
      setProblem(message);
    }
  }

  const ended = session === null && whose.current !== null;
  const asking = Boolean(session && offered);
  return (
    <>
      <Bar session={session} said={session ? problem : ''} onSignOut={signOut}>
        <div className="slot" ref={setSlot} inert={ended || asking} />
      </Bar>
      <div className="stage">
        {session === null && <Login config={config} problem={problem} ended={ended} onSession={enter} />}
        {asking && <Replacing session={session} onStay={() => setOffered('')} onReplace={replace} />}
        {whose.current !== null && (
          <main inert={ended || asking}>
            {/* No headers editor: GraphiQL's history writes headers to the storage even where
                `shouldPersistHeaders` is false. */}
            <GraphiQL
              fetcher={fetcher}
              storage={storage}
              plugins={plugins}
              visiblePlugin={visible}
              maxHistoryLength={100}
              defaultTabs={opened.length ? opened : undefined}
              defaultEditorToolsVisibility="variables"
              isHeadersEditorEnabled={false}
              shouldPersistHeaders={false}
              inputValueDeprecation
              schemaDescription
            >
              <GraphiQL.Logo>
                {slot && member && createPortal(<Search config={config} tab={member} onEnded={() => setSession(null)} />, slot)}
              </GraphiQL.Logo>
            </GraphiQL>
          </main>
        )}
      </div>
    </>
  );
}

const identity = ({ role, subject }) => `${role}:${subject}`;

createRoot(document.getElementById('graphiql')).render(<Page />);
