// GraphiQL's own panel of pictures: what the answer in the open tab holds, drawn.
import { pick, useGraphiQL } from '@graphiql/react';
import { Component, useEffect, useMemo, useRef, useState } from 'react';
import { Picture, Width } from './pictures.jsx';
import { picturesOf } from './shapes.js';

export const PICTURES = { title: 'Pictures', icon: Icon, content: Panel };

function Icon() {
  return (
    <svg viewBox="0 0 24 24" width="1em" height="1em" fill="none" stroke="currentColor" strokeWidth="1.5">
      <title>Pictures</title>
      <path d="M4 4v16h16M8 16v-4M12 16V8M16 16v-6" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}

function Panel() {
  const { tabs, activeTabIndex } = useGraphiQL(pick('tabs', 'activeTabIndex'));
  const response = tabs[activeTabIndex]?.response;
  const { pictures, answered } = useMemo(() => look(response), [response]);
  const [section, width] = useWidth();
  return (
    <section className="panel" aria-label="Pictures of the answer" ref={section}>
      <h2>Pictures</h2>
      {pictures.length ? (
        <Held key={response}>
          <Width value={width}>
            {pictures.map((picture, n) => (
              <Picture key={n} picture={picture} />
            ))}
          </Width>
        </Held>
      ) : (
        <Nothing answered={answered} />
      )}
    </section>
  );
}

/** A ref, and how much room there is for pictures in what it is put on. */
function useWidth() {
  const section = useRef(null);
  const [width, setWidth] = useState(290);
  useEffect(() => {
    const look = () => setWidth(Math.min(Math.max(section.current.clientWidth - 4, 150), 480));
    const observer = new ResizeObserver(look);
    observer.observe(section.current);
    return () => observer.disconnect();
  }, []);
  return [section, width];
}

/** Keeps a picture that can't be drawn from taking the page, and all its tabs, with it. */
class Held extends Component {
  state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  render() {
    return this.state.failed ? <p>This answer can’t be drawn.</p> : this.props.children;
  }
}

function look(response) {
  try {
    return { pictures: picturesOf(JSON.parse(response).data), answered: true };
  } catch {
    return { pictures: [], answered: false };
  }
}

function Nothing({ answered }) {
  return (
    <div className="nothing">
      <p>
        {answered ? 'Nothing in this answer makes a picture.' : 'Run the operation: what it answers is drawn here.'}
      </p>
      <p>Pictures are made of, wherever they stand:</p>
      <ul>
        <li>
          a ledger’s <code>balance {'{ active pending reserved arrears }'}</code>
        </li>
        <li>
          <code>{'expiring { amount at }'}</code>, <code>{'activating { amount at }'}</code>
        </li>
        <li>
          <code>entries</code> with <code>at change</code>, <code>lots</code> with{' '}
          <code>earnedAt amount remaining expiresAt</code>
        </li>
        <li>
          <code>{'tiers { current { name } value toNext { missing } toKeep { missing until } }'}</code>,{' '}
          <code>progress</code>
        </li>
        <li>
          <code>{'trialBalance { currencies { accounts { account points } partners { issued redeemed … } } }'}</code>
        </li>
        <li>
          what holds <code>now then</code>, <code>live shadow</code> or <code>added taken</code>, and tables by{' '}
          <code>month</code>
        </li>
      </ul>
    </div>
  );
}
