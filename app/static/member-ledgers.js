// The member's ledgers, a card each: what can be spent, what waits, and what is about to be lost.
import { h } from './dom.js';
import { ahead, day, number, t } from './language.js';

export default {
  id: 'ledgers',
  asks: `ledgers { id currency { code name symbol redeemable badge }
    balance { active pending reserved arrears }
    expiring(within: "90D") { amount at }
    activating(within: "90D") { amount at event }
    entries(first: 10) { ...Entries } }
    badges { times currency { code name symbol } }`,
  draw(me) {
    const cards = me.ledgers.filter(({ currency }) => !currency.badge).map(card);
    const badges = me.badges.map(({ times, currency }) =>
      h('li', { class: 'badge' }, h('span', { 'aria-hidden': 'true' }, currency.symbol || '★'),
        ` ${currency.name}${times > 1 ? ` × ${number(times)}` : ''}`));
    if (!cards.length && !badges.length) return h('p', { class: 'card soft' }, t('ledgers.none'));
    return [
      h('ul', { class: 'cards slim' }, cards),
      badges.length ? h('ul', { class: 'badges', 'aria-label': t('ledgers.badges') }, badges) : null,
    ];
  },
};

function card({ currency, balance, expiring, activating }) {
  return h('li', { class: 'card ledger', 'data-currency': currency.code },
    h('h3', null, h('span', { class: 'symbol', 'aria-hidden': 'true' }, currency.symbol || '●'), currency.name),
    h('p', { class: 'figure' }, h('strong', { class: 'active' }, number(balance.active)),
      h('span', { class: 'soft' }, t(currency.redeemable ? 'ledgers.active' : 'ledgers.counted'))),
    h('ul', { class: 'lines' },
      balance.pending > 0 && h('li', null, pendingWords(balance.pending, activating)),
      balance.reserved > 0 && h('li', null, t('ledgers.reserved', { amount: balance.reserved })),
      balance.arrears > 0 && h('li', { class: 'warn' }, t('ledgers.arrears', { amount: balance.arrears })),
      expiryLines(expiring)));
}

function pendingWords(amount, activating) {
  const next = activating.find(({ at }) => at);
  return next ? t('ledgers.pending.next', { amount, next: next.amount, day: day(next.at) }) : t('ledgers.pending', { amount });
}

/** The next to expire, and all that do within the span, so that neither hides the other. */
function expiryLines(expiring) {
  if (!expiring.length) return h('li', { class: 'soft' }, t('ledgers.safe'));
  const [first] = expiring;
  const all = expiring.reduce((sum, { amount }) => sum + amount, 0);
  return [
    h('li', { class: 'warn' }, t('ledgers.expiring', { amount: first.amount, when: ahead(first.at), day: day(first.at) })),
    expiring.length > 1 && h('li', { class: 'soft' }, t('ledgers.expiring.all', { amount: all })),
  ];
}
