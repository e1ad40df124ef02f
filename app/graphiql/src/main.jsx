// The admin's GraphiQL page. It reads what it needs from the page's `graphiql-config` block:
//   { url, subscriptionUrl, tabs: [{ title?, query, variables? }] }
import './workers.js';
import { GraphiQL } from 'graphiql';
import { useEffect, useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';
import '@fontsource-variable/fira-code/wght.css';
import '@fontsource-variable/roboto/wght.css';
import 'graphiql/style.css';
import './page.css';
import { Bar } from './bar.jsx';
import { takeToken } from './token.js';
import { connect } from './transport.js';

const config = JSON.parse(document.getElementById('graphiql-config').textContent);
const handedOver = takeToken();
const tabs = config.tabs.map(({ title, query, variables }) => ({
  query: title ? `# ${title}\n${query}` : query,
  variables,
}));

function Page() {
  const [token, setToken] = useState(handedOver);
  const [refused, setRefused] = useState(false);
  const connection = useMemo(() => connect(config, token, setRefused), [token]);
  useEffect(() => connection.close, [connection]);
  useEffect(() => {
    // A second demo link opened in this tab changes nothing but the fragment.
    const onHashChange = () => {
      const next = takeToken();
      if (next) setToken(next);
    };
    addEventListener('hashchange', onHashChange);
    return () => removeEventListener('hashchange', onHashChange);
  }, []);

  function changeToken(next) {
    setRefused(false);
    setToken(next);
  }

  // No headers editor: GraphiQL's history writes headers to localStorage even where
  // `shouldPersistHeaders` is false, and a token would be among them.
  return (
    <>
      <Bar token={token} refused={refused} onToken={changeToken} />
      <main>
        <GraphiQL
          fetcher={connection.fetcher}
          defaultTabs={tabs.length ? tabs : undefined}
          defaultEditorToolsVisibility="variables"
          isHeadersEditorEnabled={false}
          shouldPersistHeaders={false}
          inputValueDeprecation
          schemaDescription
        >
          <GraphiQL.Logo> </GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}

createRoot(document.getElementById('graphiql')).render(<Page />);
