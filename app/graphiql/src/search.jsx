// The search field above the page: a member by anything that one is known by, opened in its tab.
import { useGraphiQLActions } from '@graphiql/react';
import { useId, useRef, useState } from 'react';
import { candidates, firstKnown, searchOf } from './find.js';
import { useOpen } from './operations.jsx';
import { query } from './transport.js';

export function Search({ config, tab }) {
  const field = useRef(null);
  const id = useId();
  const [said, setSaid] = useState('');
  const open = useOpen();
  const { run } = useGraphiQLActions();

  async function submit(event) {
    event.preventDefault();
    setSaid('');
    try {
      const { partners } = await query(config, 'query Codes { partners { code } }');
      const found = candidates(field.current.value, partners.map(({ code }) => code));
      if (!found.length) return field.current.focus();
      const asked = searchOf(found);
      const known = firstKnown(found, await query(config, asked.query, asked.variables));
      if (!known) return setSaid('Nobody is known by this');
      const variables = { by: known.by, partner: known.partner ?? null };
      open({ query: tab.query, variables: JSON.stringify(variables, null, 2) }, { over: true });
      run();
    } catch (problem) {
      setSaid(problem.message);
    }
  }

  return (
    <form className="search" role="search" onSubmit={submit}>
      <label htmlFor={id}>Find a member</label>
      <input
        id={id}
        ref={field}
        type="search"
        autoComplete="off"
        onInput={() => setSaid('')}
        placeholder="card, email, phone, reference, id"
        aria-describedby={`${id}-said`}
      />
      <p role="status" className="said" id={`${id}-said`}>{said}</p>
    </form>
  );
}
