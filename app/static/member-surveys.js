// What partners would like to know, answered once.
import { outcomeOf } from './api.js';
import { h } from './dom.js';
import { announce, wordsOf } from './frame.js';
import { day, t } from './language.js';

const ANSWER = `mutation Answer($input: AnswerSurveyInput!) { outcome: answerSurvey(input: $input) { __typename
  ... on Error { code message } } }`;
const SCORES = { NPS: [0, 10], CSAT: [1, 5] };

export default {
  id: 'surveys',
  asks: `surveyInvitations(first: 3, answered: false) { edges { node { id until partner { name }
    survey { kind question comment } } } }`,
  draw(me) {
    const open = me.surveyInvitations.edges.map(({ node }) => node)
      .filter(({ survey, until }) => survey && Date.parse(until) > Date.now());
    return open.length ? h('ul', { class: 'cards wide' }, open.map((node) => card(node, me))) : null;
  },
};

function card({ id: invitation, until, partner, survey }, me) {
  const { kind, question, comment } = survey;
  const name = `survey-${invitation}`;
  const said = h('p', { class: 'bad', role: 'alert' });
  const words = h('textarea', { id: `${name}-words`, 'aria-describedby': kind === 'TEXT' && `${name}-asked`, rows: 3, maxlength: 2000, required: kind === 'TEXT' });
  const send = h('button', { type: 'submit', class: 'button' }, t('surveys.send'));
  const form = h('form', { class: 'fields' },
    SCORES[kind] ? scores(name, question, kind) : h('p', { id: `${name}-asked` }, question),
    (comment || kind === 'TEXT') && [h('label', { for: words.id }, t(kind === 'TEXT' ? 'surveys.words' : 'surveys.more')), words],
    said, h('div', { class: 'buttons' }, send));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    said.textContent = '';
    send.disabled = true;
    const chosen = new FormData(form).get(name);
    try {
      const input = { invitation, score: chosen === null ? null : Number(chosen), comment: words.value.trim() };
      await outcomeOf(ANSWER, 'SurveyAnswered', { input });
      // Whatever draws the page anew doesn't ask again.
      me.surveyInvitations.edges = me.surveyInvitations.edges.filter(({ node }) => node.id !== invitation);
      const thanks = h('p', { class: 'up', tabindex: '-1' }, t('surveys.thanks'));
      form.replaceWith(thanks);
      thanks.focus();
      announce(t('surveys.thanks'));
    } catch (problem) {
      said.textContent = wordsOf(problem);
      send.disabled = false;
      send.focus();
    }
  });
  return h('li', { class: 'card offer' },
    h('p', { class: 'tag' }, partner.name), form, h('p', { class: 'soft' }, t('surveys.until', { day: day(until) })));
}

function scores(name, question, kind) {
  const [least, most] = SCORES[kind];
  const choices = Array.from({ length: most - least + 1 }, (_, n) => least + n);
  return h('fieldset', { class: 'scores' }, h('legend', null, question),
    h('div', null, choices.map((score) => h('label', null,
      h('input', { type: 'radio', name, value: score, required: true }), h('span', null, String(score))))),
    h('p', { class: 'soft' }, t(`surveys.${kind}`, { least, most })));
}
