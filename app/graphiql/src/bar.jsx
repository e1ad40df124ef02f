// The bar above the editor: the name of the place, and the token that requests are sent with.
import { useId, useRef, useState } from 'react';
import laurel from './laurel.svg';
import { cleanToken, nameOf } from './token.js';
import { NO_TOKEN } from './transport.js';

const mark = new URL(laurel, import.meta.url).href;

export function Bar({ token, refused, onToken }) {
  return (
    <header className="bar">
      <h1>
        <img src={mark} alt="" width="30" height="30" />
        Laurels
      </h1>
      <TokenForm key={token} token={token} refused={refused} onToken={onToken} />
    </header>
  );
}

function TokenForm({ token, refused, onToken }) {
  const field = useRef(null);
  const id = useId();
  const [unusable, setUnusable] = useState(false);

  function submit(event) {
    event.preventDefault();
    const pasted = cleanToken(field.current.value);
    setUnusable(!pasted);
    if (pasted) onToken(pasted);
    else field.current.focus();
  }

  const [state, message] = describe({ token, refused, unusable });
  return (
    <form className="token" onSubmit={submit} autoComplete="off">
      <p role="status" className={`state ${state}`} id={`${id}-state`}>
        <span>{withCode(message)}</span>
      </p>
      {token && (
        <button type="button" className="quiet" onClick={() => onToken('')}>
          Forget it
        </button>
      )}
      <label htmlFor={id}>{token ? 'Another token' : 'Token'}</label>
      {/* No password field: a browser would offer to store what is in one. */}
      <input
        id={id}
        ref={field}
        type="text"
        className="secret"
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        aria-invalid={unusable}
        aria-describedby={`${id}-state ${id}-hint`}
        data-1p-ignore=""
        data-lpignore="true"
      />
      <button type="submit">Use token</button>
      <p className="hint" id={`${id}-hint`}>
        Kept in this page’s memory only: a reload forgets it.
      </p>
    </form>
  );
}

function describe({ token, refused, unusable }) {
  if (unusable) return ['bad', 'That is not a token: it may hold neither spaces nor line breaks'];
  if (refused && token) return ['bad', `The server refused ${nameOf(token)}`];
  if (token) return ['good', `Sending ${nameOf(token)}`];
  return ['none', NO_TOKEN];
}

/** Text whose parts between backticks are code. */
function withCode(text) {
  return text.split('`').map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part));
}
