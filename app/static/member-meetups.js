// What partners invite to: take a place, give it up, and show the code to check in with when it begins.
import { ask, outcomeOf } from './api.js';
import { h } from './dom.js';
import { announce, wordsOf } from './frame.js';
import { moment, t } from './language.js';

const SEAT = 'id cancelledAt attendedAt';
const CHANGE = {
  take: `mutation Take($input: MeetupSeatInput!) { outcome: registerForMeetup(input: $input) {
    __typename ... on Error { message } } }`,
  leave: `mutation Leave($input: MeetupSeatInput!) { outcome: cancelRegistration(input: $input) {
    __typename ... on Error { message } } }`,
};
const CODE = `query Code($id: ID!) { node(id: $id) { ... on MeetupRegistration { attendedAt
  checkInCode { text until } } } }`;

export default {
  id: 'meetups',
  asks: '',
  also: `meetups(first: 6) { edges { node { code title startsAt endsAt checkInFrom cancelledAt placesLeft
    place { name } partner { code name } myRegistration { ${SEAT} } } } }`,
  draw(me, page, { meetups }) {
    const made = meetups.edges.map(({ node }) => card(node, page));
    return made.length ? h('ul', { class: 'cards wide' }, made) : null;
  },
};

function card(meetup, page) {
  const { code, title, startsAt, checkInFrom, cancelledAt, placesLeft, place, partner, myRegistration: seat } = meetup;
  const goes = seat && !seat.cancelledAt;
  const key = `meetup-${partner.code}-${code}`;
  const said = h('p', { class: 'bad', role: 'alert' });
  const button = (act, text) => h('button', {
    type: 'button', id: key, class: act === 'take' ? 'button' : 'quiet', 'aria-describedby': `${key}-title`,
    onclick: ({ target }) => change(act, meetup, page, target, said),
  }, text);
  return h('li', { class: 'card offer', 'data-meetup': code },
    h('p', { class: 'tag' }, partner.name),
    h('h3', { id: `${key}-title` }, title),
    h('p', null, `${moment(startsAt)} · ${place.name}`),
    cancelledAt ? h('p', { class: 'warn' }, t('meetups.cancelled')) : goes
      ? [h('p', { class: 'up' }, t(seat.attendedAt ? 'meetups.there' : 'meetups.going')),
        !seat.attendedAt && (Date.parse(checkInFrom) <= Date.now()
          ? h('button', { type: 'button', id: `${key}-code`, class: 'button', onclick: () => showCode(seat.id, title, `${key}-code`) }, t('meetups.code'))
          : h('p', { class: 'soft' }, t('meetups.from', { at: moment(checkInFrom) }))),
        !seat.attendedAt && button('leave', t('meetups.leave'))]
      : [placesLeft !== null && h('p', { class: 'soft' }, t('meetups.left', { count: placesLeft })),
        placesLeft !== 0 && button('take', t('meetups.take'))],
    said);
}

/** Both are safe to send again: a place that is taken is taken. */
async function change(act, { code, partner }, page, button, said) {
  button.disabled = true;
  said.textContent = '';
  try {
    await outcomeOf(CHANGE[act], 'RegistrationSaved', { input: { partner: partner.code, meetup: code } });
    await page.refresh();
    announce(t(act === 'take' ? 'meetups.going' : 'meetups.left.it'));
  } catch (problem) {
    said.textContent = wordsOf(problem);
    button.disabled = false;
    button.focus();
  }
}

/** A code is good for two minutes and once: it is fetched when it is asked for, and again after its end. */
function showCode(id, title, opener) {
  const place = h('div', { 'aria-live': 'polite' });
  const close = h('button', { type: 'button', class: 'button', onclick: () => dialog.close() }, t('done'));
  const dialog = h('dialog', { 'aria-labelledby': 'code-title' }, h('div', { class: 'dialog' },
    h('h2', { id: 'code-title' }, title), place, h('div', { class: 'buttons' }, close)));
  let timer = null;
  const fetched = async () => {
    try {
      const { attendedAt, checkInCode } = (await ask(CODE, { id })).node;
      place.replaceChildren(checkInCode
        ? h('p', { class: 'code big long' }, checkInCode.text)
        : h('p', null, t(attendedAt ? 'meetups.there' : 'meetups.none')));
      if (checkInCode) timer = setTimeout(fetched, Math.max(Date.parse(checkInCode.until) - Date.now(), 1000));
    } catch (problem) {
      place.replaceChildren(h('p', { class: 'bad' }, wordsOf(problem)));
    }
  };
  dialog.addEventListener('close', () => {
    clearTimeout(timer);
    dialog.remove();
    document.getElementById(opener)?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
  fetched();
}
