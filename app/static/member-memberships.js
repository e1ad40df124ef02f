// The memberships that last: what they bring, what they saved this year, and how they go on.
import { h } from './dom.js';
import { day, known, money, number, points, t } from './language.js';

const FEE = 'per title money { amount currency } points { amount currency { code name symbol } }';

export default {
  id: 'memberships',
  asks: `plans { code state since until graceUntil partner { code name } plan { title description }
    renews { ${FEE} } perks { code title description worth { amount currency } }
    saved { money { amount currency } points { points currency { code name symbol } } } }`,
  draw(me) {
    const lasting = me.plans.filter(({ state }) => state !== 'LAPSED');
    return lasting.length ? h('ul', { class: 'cards wide' }, lasting.map(card)) : null;
  },
};

function card({ code, state, until, graceUntil, partner, plan, renews, perks, saved }) {
  const key = `memberships.${state}`;
  return h('li', { class: 'card offer', 'data-plan': code },
    h('p', { class: 'tag' }, partner.name),
    h('h3', null, plan?.title ?? code),
    h('p', { class: state === 'GRACE' ? 'warn' : null },
      known(key) ? t(key, { until: day(until), grace: day(graceUntil) }) : state),
    perks.length > 0 && h('ul', { class: 'ticks' }, perks.map(({ title, description }) =>
      h('li', null, title, description && h('span', { class: 'soft block' }, description)))),
    savedWords(saved),
    h('p', { class: 'soft' }, renews
      ? t('memberships.renews', { fee: feeWords(renews), day: day(until) })
      : t('memberships.ends', { day: day(until) })));
}

function savedWords({ money: sums, points: more }) {
  const byCurrency = new Map();
  for (const { points: gave, currency } of more) {
    byCurrency.set(currency.code, { currency, gave: (byCurrency.get(currency.code)?.gave ?? 0) + gave });
  }
  const said = [...sums.map(money), ...[...byCurrency.values()].map(({ currency, gave }) => points(gave, currency))];
  return said.length ? h('p', { class: 'up' }, t('memberships.saved', { saved: said.join(' + ') })) : null;
}

const feeWords = (fee) =>
  [fee.money && money(fee.money), fee.points && points(fee.points.amount, fee.points.currency)].filter(Boolean).join(' + ') || fee.title || number(0);
