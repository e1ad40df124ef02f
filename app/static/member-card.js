// What the member shows at a till: a number, and the same as a QR code that tills scan.
import { outcomeOf } from './api.js';
import { h } from './dom.js';
import { wordsOf } from './frame.js';
import { t } from './language.js';

const CREATE = 'mutation Card { outcome: createCard { __typename ... on Error { message } } }';

export default {
  id: 'card',
  asks: 'card { number qr }',
  draw({ card }, page) {
    if (!card) return making(page);
    return h('div', { class: 'card pass' },
      h('img', { class: 'qr', src: pictureOf(card.qr), alt: t('card.alt'), width: 132, height: 132 }),
      h('p', null, h('span', { class: 'soft block' }, t('card.number')), h('strong', { class: 'number' }, card.number)));
  },
};

/** The picture as an image: what is in it can neither run nor reach the page. */
function pictureOf(qr) {
  const svg = qr.includes('xmlns=') ? qr : qr.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"');
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

function making(page) {
  const said = h('p', { class: 'bad', role: 'alert' });
  const make = async ({ target }) => {
    target.disabled = true;
    try {
      await outcomeOf(CREATE, 'Card');
      await page.refresh();
      document.getElementById('card-title').focus();
    } catch (problem) {
      said.textContent = wordsOf(problem);
      target.disabled = false;
    }
  };
  return h('div', { class: 'card narrow' }, h('p', null, t('card.none')),
    h('button', { type: 'button', id: 'make-card', class: 'button', onclick: make }, t('card.make')), said);
}
