// The bar above the editor: the name of the place, who is signed in and as what, and the way out.
import laurel from './laurel.svg';

const mark = new URL(laurel, import.meta.url).href;

export function Bar({ session, said, onSignOut, children }) {
  return (
    <header className="bar">
      <h1>
        <img src={mark} alt="" width="30" height="30" />
        Laurels
      </h1>
      {children}
      {session && (
        <div className="who">
          <p>
            Signed in as <strong>{session.subject || session.role}</strong>
            {session.roles.length > 0 && <span className="roles">{session.roles.join(', ')}</span>}
          </p>
          <button type="button" className="quiet" onClick={onSignOut}>
            Sign out
          </button>
        </div>
      )}
      <p role="status" className="said">
        {said}
      </p>
    </header>
  );
}
