// The way in: a token, or the organisation's own sign-in where the server has one. It lies over the
// page when a session has ended, so that what stands in the tabs is there still afterwards.
import { useEffect, useId, useRef, useState } from 'react';
import { openSession } from './session.js';
import { cleanToken } from './token.js';
import { Words } from './words.jsx';

export function Login({ config, problem, ended, onSession }) {
  const field = useRef(null);
  const id = useId();
  const [said, setSaid] = useState('');
  const [busy, setBusy] = useState(false);
  useEffect(() => field.current.focus(), []);

  async function submit(event) {
    event.preventDefault();
    const token = cleanToken(field.current.value);
    if (!token) {
      setSaid('That is not a token: it may hold neither spaces nor line breaks');
      return field.current.focus();
    }
    field.current.value = '';
    setBusy(true);
    try {
      onSession(await openSession(config.session, token));
    } catch (refusal) {
      setSaid(refusal.message);
      setBusy(false);
      field.current.focus();
    }
  }

  const message = said || problem;
  return (
    <section className="login" role="dialog" aria-modal={ended} aria-labelledby={`${id}-title`}>
      <form onSubmit={submit} autoComplete="off">
        <h2 id={`${id}-title`}>{ended ? 'Your session has ended' : 'Sign in'}</h2>
        {ended && <p>Sign in again and go on: your tabs are kept, here in this page.</p>}
        {config.signIn && (
          <p>
            <a className="button" href={config.signIn}>
              Sign in with your organisation
            </a>
          </p>
        )}
        <label htmlFor={id}>Token</label>
        {/* No password field: a browser would offer to store what is in one. */}
        <input
          id={id}
          ref={field}
          type="text"
          className="secret"
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          aria-invalid={Boolean(message)}
          aria-describedby={`${id}-said ${id}-hint`}
          data-1p-ignore=""
          data-lpignore="true"
        />
        <button type="submit" className="button" disabled={busy}>
          Sign in
        </button>
        <p role="status" className="said" id={`${id}-said`}>
          {message && <Words text={message} />}
        </p>
        <p className="hint" id={`${id}-hint`}>
          Make one with <code>laurels token --admin</code>. It is traded for a cookie that no script can
          read; the browser keeps nothing else of it.
        </p>
      </form>
    </section>
  );
}

/** Asks whether a link may put another session in the place of this one; to stay is what Enter does. */
export function Replacing({ session, onStay, onReplace }) {
  const stay = useRef(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const name = session.subject || session.role;
  useEffect(() => stay.current.focus(), []);

  return (
    <section className="login" role="dialog" aria-modal="true" aria-labelledby={id}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onStay();
        }}
      >
        <h2 id={id}>Sign in by this link?</h2>
        <p>
          You are signed in as <strong>{name}</strong>. The link that you followed ends that session and opens
          another: what you do then is done as whoever the link was made for.
        </p>
        <button type="submit" className="button" ref={stay}>
          Stay signed in as {name}
        </button>
        <button
          type="button"
          className="quiet"
          disabled={busy}
          onClick={() => {
            setBusy(true);
            onReplace();
          }}
        >
          Sign in by the link
        </button>
      </form>
    </section>
  );
}
