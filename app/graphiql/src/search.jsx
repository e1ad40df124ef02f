// The search field above the page: a member by anything that one is known by, opened in its tab.
import { useGraphiQLActions } from '@graphiql/react';
import { useId, useRef, useState } from 'react';
import { AT_ONCE, candidates, firstKnown, searchOf } from './find.js';
import { useOpen } from './operations.jsx';
import { query } from './transport.js';

export function Search({ config, tab, onEnded }) {
  const field = useRef(null);
  const latest = useRef(0);
  const id = useId();
  const [said, setSaid] = useState('');
  const open = useOpen();
  const { run } = useGraphiQLActions();

  const ask = ({ query: text, variables }) => query(config, text, variables, onEnded);

  async function find(text) {
    const { partners } = await ask({ query: 'query Codes { partners { code } }' });
    const found = candidates(text, partners.map(({ code }) => code));
    for (let from = 0; from < found.length; from += AT_ONCE) {
      const some = found.slice(from, from + AT_ONCE);
      const known = firstKnown(some, await ask(searchOf(some)));
      if (known) return known;
    }
    return undefined;
  }

  async function submit(event) {
    event.preventDefault();
    setSaid('');
    const turn = (latest.current += 1);
    try {
      const known = await find(field.current.value);
      if (turn !== latest.current) return undefined; // another was searched meanwhile
      if (!known) return setSaid('Nobody is known by this');
      const variables = { by: known.by, partner: known.partner ?? null };
      open({ query: tab.query, variables: JSON.stringify(variables, null, 2) }, { over: true });
      return run();
    } catch (problem) {
      return setSaid(problem.message);
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
