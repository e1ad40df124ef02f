// A member's own page. What it shows is a list of sections: each says what it asks of `Member`, and
// draws what was answered. One request asks for all of them.
import { h } from './dom.js';
import { run } from './frame.js';
import { day, t } from './language.js';
import card from './member-card.js';
import data from './member-data.js';
import history, { ENTRIES } from './member-history.js';
import ledgers from './member-ledgers.js';
import meetups from './member-meetups.js';
import memberships from './member-memberships.js';
import offers from './member-offers.js';
import rewards from './member-rewards.js';
import surveys from './member-surveys.js';
import tiers from './member-tiers.js';

// A section is { id, asks, also, draw(me, page, data) }: `asks` are fields of Member, `also` fields of the
// query itself; the title is the text `section.ID`, and `draw` returns elements, or null for nothing.
const SECTIONS = [card, ledgers, tiers, memberships, offers, surveys, meetups, rewards, history, data];

const WALLET = `query Wallet { me { id name enrolledAt ${SECTIONS.map(({ asks }) => asks).join(' ')} }
  ${SECTIONS.map(({ also }) => also ?? '').join(' ')} } ${ENTRIES}`;

/** What sections may do to the page: ask for everything again, and draw it. */
const page = {};

function draw(told) {
  const { me } = told;
  if (!me) return h('p', { class: 'card narrow' }, t('member.nobody'));
  const drawn = SECTIONS.map((section) => [section, section.draw(me, page, told)]).filter(([, made]) => made);
  return [
    h('header', { class: 'hello' },
      h('h1', null, me.name ? t('member.hello', { name: me.name }) : t('member.hello.you')),
      h('p', { class: 'soft' }, t('member.since', { day: day(me.enrolledAt) }))),
    h('nav', { class: 'sections', 'aria-label': t('member.sections') },
      h('ul', null, drawn.map(([{ id }]) => h('li', null, h('a', { href: `#${id}` }, t(`section.${id}`)))))),
    ...drawn.map(([{ id }, made]) =>
      h('section', { id, 'aria-labelledby': `${id}-title` },
        h('h2', { id: `${id}-title`, tabindex: '-1' }, t(`section.${id}`)), made)),
  ];
}

Object.assign(page, await run({ title: 'member.title', load: (ask) => ask(WALLET), draw }));
