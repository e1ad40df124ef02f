// What happened, newest first over all ledgers, each entry with why it is there. A page more is asked
// for of the ledgers alone whose entries would come next.
import { ask } from './api.js';
import { h } from './dom.js';
import { announce, wordsOf } from './frame.js';
import { day, known, number, t } from './language.js';

/** Fields of a page of entries: `...Entries` in what a section asks. */
export const ENTRIES = `fragment Entries on LedgerEntryConnection { pageInfo { hasNextPage endCursor }
  edges { node { id at kind amount change source target partner { name } currency { code name symbol }
    explanation { text caps rounding rule { title } rules { title points because } } } } }`;

const PAGE = 10;

const MORE = `query More($ids: [ID!]!, $after: String) { nodes(ids: $ids) { ... on Ledger { id
  entries(first: 10, after: $after) { ...Entries } } } } ${ENTRIES}`;

export default {
  id: 'history',
  asks: '',
  draw(me) {
    const pages = me.ledgers.map(({ id, entries }) => ({
      id, nodes: entries.edges.map(({ node }) => node), ...entries.pageInfo,
    }));
    if (!pages.some(({ nodes }) => nodes.length)) return h('p', { class: 'card soft' }, t('history.none'));
    return list(pages);
  },
};

function list(pages) {
  const rows = h('ol', { class: 'card entries' });
  const said = h('p', { class: 'bad', role: 'alert' });
  const more = h('button', { type: 'button', id: 'more', class: 'quiet' }, t('history.more'));
  let count = 0;
  const show = () => {
    const ready = merged(pages);
    const added = ready.slice(count, count + PAGE).map(row);
    count += added.length;
    rows.append(...added);
    more.hidden = count === ready.length && !pages.some(({ hasNextPage }) => hasNextPage);
    return added;
  };
  more.addEventListener('click', async () => {
    more.disabled = true;
    said.textContent = '';
    try {
      while (merged(pages).length < count + PAGE && pages.some(({ hasNextPage }) => hasNextPage)) await fetchMore(pages);
      const added = show();
      announce(t('history.added', { count: added.length }));
      added[0]?.querySelector('summary')?.focus();
    } catch (problem) {
      said.textContent = wordsOf(problem);
    }
    more.disabled = false;
  });
  show();
  return [rows, said, more];
}

/** The entries that stand in order whatever comes: none is older than what a ledger has yet to tell. */
function merged(pages) {
  const open = pages.filter(({ hasNextPage }) => hasNextPage).map(({ nodes }) => Date.parse(nodes.at(-1)?.at));
  const edge = Math.max(-Infinity, ...open);
  return pages
    .flatMap(({ nodes }) => nodes)
    .filter(({ at }) => Date.parse(at) >= edge)
    .sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}

/** Asks the ledger for more whose oldest entry holds up the others. */
async function fetchMore(pages) {
  const open = pages.filter(({ hasNextPage }) => hasNextPage);
  const next = open.reduce((a, b) => (Date.parse(b.nodes.at(-1).at) > Date.parse(a.nodes.at(-1).at) ? b : a));
  const { nodes: [ledger] } = await ask(MORE, { ids: [next.id], after: next.endCursor });
  next.nodes.push(...ledger.entries.edges.map(({ node }) => node));
  Object.assign(next, ledger.entries.pageInfo);
}

function row(entry) {
  const { at, kind, amount, change, partner, currency, target, explanation } = entry;
  const pending = change === 0 && target === 'PENDING';
  const figure = change === 0 ? number(amount) : number(change, { signDisplay: 'always' });
  return h('li', { class: 'entry' },
    h('div', { class: 'what' },
      h('p', null, h('strong', null, known(`kind.${kind}`) ? t(`kind.${kind}`) : kind),
        h('span', { class: 'soft' }, ` · ${partner?.name ?? t('history.programme')} · ${day(at)}`)),
      kind === 'ACCRUAL' && explanation?.rule && h('p', { class: 'soft', lang: 'en' }, explanation.rule.title),
      explanation && why(explanation)),
    h('p', { class: change > 0 ? 'amount up' : 'amount' },
      h('span', null, `${pending ? '+' : ''}${figure} ${currency.symbol || currency.name}`),
      h('span', { class: 'unseen' }, currency.name),
      pending && h('span', { class: 'tag' }, t('history.pending')),
      change === 0 && !pending && h('span', { class: 'tag' }, t('history.still'))));
}

/** The sentence, and what each rule made of the purchase: those of other currencies, too, so without a unit. */
function why({ text, caps, rounding, rules }) {
  return h('details', null,
    h('summary', null, t('history.why')),
    h('p', { lang: 'en' }, text),
    caps.map((cap) => h('p', { class: 'soft', lang: 'en' }, cap)),
    rounding && h('p', { class: 'soft', lang: 'en' }, rounding),
    rules.length > 1 && [
      h('p', { class: 'soft' }, t('history.rules')),
      h('ul', { class: 'lines rules' }, rules.map(({ title, points: gave, because }) =>
        h('li', null, h('span', { lang: 'en' }, title),
          h('span', { class: gave ? 'up' : 'soft', lang: gave || !because ? null : 'en' }, gave ? number(gave, { signDisplay: 'always' }) : because || '0')))),
    ]);
}
