// What is offered to this member alone, and how far the challenges are that it has begun.
import { h, newId } from './dom.js';
import { day, number, money, t } from './language.js';

export default {
  id: 'offers',
  asks: `offers { rule title because until partner { code name } }
    progress { rule title current target missing counts currency until partner { code name } }`,
  draw(me) {
    const made = [...me.offers.map(offer), ...me.progress.map(challenge)];
    return made.length ? h('ul', { class: 'cards wide' }, made) : null;
  },
};

function offer({ title, until, partner, because }) {
  return h('li', { class: 'card offer' },
    h('p', { class: 'tag' }, t('offers.yours', { partner: partner.name })),
    h('h3', null, title),
    because && h('p', { lang: 'en' }, because),
    h('p', { class: 'soft' }, until ? t('offers.until', { day: day(until) }) : t('offers.open')));
}

function challenge({ title, current, target, missing, currency, until, partner }) {
  const says = (amount) => (currency ? money({ amount, currency }) : number(Number(amount)));
  const words = newId('challenge');
  return h('li', { class: 'card offer' },
    h('p', { class: 'tag' }, partner.name),
    h('h3', null, title),
    h('progress', {
      class: 'way', max: Number(target), value: Math.max(Number(current), 0), 'aria-label': title, 'aria-describedby': words,
    }),
    h('p', { id: words, class: 'soft' },
      t('offers.progress', { current: says(current), target: says(target), missing: says(missing) }),
      until && ` ${t('offers.begins', { day: day(until) })}`));
}
