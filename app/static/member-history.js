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
      id, next: 0, nodes: entries.edges.map(({ node }) => node), ...entries.pageInfo,
    }));
    if (!pages.some(({ nodes }) => nodes.length)) return h('p', { class: 'card soft' }, t('history.none'));
    return list(pages);
  },
};

function list(pages) {
  const rows = h('ol', { class: 'card entries' });
  const said = h('p', { class: 'bad', role: 'alert' });
  const more = h('button', { type: 'button', id: 'more', class: 'quiet' }, t('history.more'));
  const show = (entries) => {
    const added = entries.map(row);
    rows.append(...added);
    more.hidden = pages.every((page) => !waits(page) && page.next === page.nodes.length);
    return added;
  };
  more.addEventListener('click', async () => {
    more.disabled = true;
    said.textContent = '';
    const entries = [];
    try {
      while (entries.length < PAGE) {
        entries.push(...taken(pages, PAGE - entries.length));
        const waiting = pages.filter(waits);
        if (!waiting.length) break;
        if (entries.length < PAGE) await Promise.all(waiting.map(fetchMore));
      }
    } catch (problem) {
      said.textContent = wordsOf(problem); // what was known already is shown all the same
    }
    const added = show(entries);
    announce(t('history.added', { count: added.length }));
    more.disabled = false;
    (added[0]?.querySelector('summary') ?? more).focus();
  });
  show(taken(pages, PAGE));
  return [rows, said, more];
}

/** Whether nobody knows what a ledger's next entry is, though there is one. */
const waits = ({ next, nodes, hasNextPage }) => next === nodes.length && hasNextPage;

/** The next entries, newest first, as far as it is known which they are. */
function taken(pages, most) {
  const entries = [];
  while (entries.length < most && !pages.some(waits)) {
    const left = pages.filter(({ next, nodes }) => next < nodes.length);
    if (!left.length) break;
    const page = left.reduce((a, b) => (instant(b) > instant(a) ? b : a));
    entries.push(page.nodes[page.next]);
    page.next += 1;
  }
  return entries;
}

const instant = ({ next, nodes }) => Date.parse(nodes[next].at);

async function fetchMore(page) {
  const { nodes: [ledger] } = await ask(MORE, { ids: [page.id], after: page.endCursor });
  page.nodes.push(...ledger.entries.edges.map(({ node }) => node));
  Object.assign(page, ledger.entries.pageInfo);
}

function nameOf(kind, change) {
  const key = kind === 'GIFT' && change < 0 ? 'kind.GIFT.given' : `kind.${kind}`;
  return known(key) ? t(key) : kind;
}

function row(entry) {
  const { at, kind, amount, change, partner, currency, target, explanation } = entry;
  const pending = change === 0 && target === 'PENDING';
  const figure = change === 0 ? number(amount) : number(change, { signDisplay: 'always' });
  return h('li', { class: 'entry' },
    h('div', { class: 'what' },
      h('p', null, h('strong', null, nameOf(kind, change)),
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
