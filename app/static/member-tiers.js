// Where the member stands on each ladder, in a bar and in words: the way up, and what keeps the tier.
import { h, newId } from './dom.js';
import { day, minorMoney, number, t } from './language.js';

export default {
  id: 'tiers',
  asks: `tiers { value since until
    ladder { code name measure tiers { code name threshold } }
    current { code name threshold benefits }
    toNext { missing tier { name threshold benefits } }
    toKeep { missing until } projected { at tier { name } } }`,
  also: 'currencies { code name }',
  draw(me, page, { currencies }) {
    const list = (tiers) => h('ul', { class: 'cards' }, tiers.map((tier) => card(tier, currencies)));
    const begun = me.tiers.filter(({ value, since }) => value > 0 || since);
    const others = me.tiers.filter((tier) => !begun.includes(tier));
    if (!others.length) return begun.length ? list(begun) : null;
    const more = h('details', { class: 'others', open: !begun.length },
      h('summary', null, t('tiers.others', { count: others.length })), list(others));
    return [begun.length ? list(begun) : null, more];
  },
};

function card(standing, currencies) {
  const { ladder, current, value, toNext, toKeep } = standing;
  const says = measured(ladder.measure, currencies);
  const words = newId('tier');
  const way = toNext && h('progress', {
    class: 'way', max: toNext.tier.threshold, value: Math.min(Math.max(value, 0), toNext.tier.threshold),
    'aria-label': t('tiers.bar', { ladder: ladder.name, tier: toNext.tier.name }), 'aria-describedby': words,
  });
  return h('li', { class: 'card tier', 'data-ladder': ladder.code },
    h('h3', null, ladder.name),
    h('p', { class: 'rank' }, h('strong', null, current.name), steps(standing)),
    way,
    h('div', { id: words },
      h('p', null, toNext
        ? t('tiers.next', { missing: says(toNext.missing), tier: toNext.tier.name, value: says(value) })
        : t('tiers.top', { value: says(value) })),
      toKeep && h('p', { class: 'warn' }, t('tiers.keep', {
        missing: says(toKeep.missing), tier: current.name, day: day(toKeep.until),
      })),
      !toKeep && standing.until && h('p', null, t('tiers.until', { tier: current.name, day: day(standing.until) }))),
    benefits('tiers.benefits', current),
    toNext && benefits('tiers.benefits.next', toNext.tier));
}

/** The ladder's tiers as steps; the words beside it say the same. */
function steps({ ladder, current }) {
  return h('span', { class: 'steps', 'aria-hidden': 'true' },
    ladder.tiers.map(({ name, threshold }) =>
      h('span', { class: threshold <= current.threshold ? 'step reached' : 'step', title: name })));
}

function benefits(key, tier) {
  if (!tier.benefits.length) return null;
  return h('p', { class: 'soft' }, `${t(key, { tier: tier.name })} ${tier.benefits.join(' · ')}`);
}

/** How the ladder's measure is said: points of a currency, money, or visits. */
function measured(measure, currencies) {
  const [kind, of] = measure.split(':');
  if (kind === 'spend') return (amount) => minorMoney(amount, of);
  if (kind === 'visits') return (count) => t('tiers.visits', { count });
  const currency = currencies.find(({ code }) => code === of);
  return (amount) => `${number(amount)} ${currency?.name ?? of ?? ''}`.trim();
}
