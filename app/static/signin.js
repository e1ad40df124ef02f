// The ways in. For members: an address and the code that is sent there. For all: a token, which is traded
// for a cookie; and for the staff their organisation's own sign-in, where there is one.
import { cleaned, config, outcomeOf, Problem, signIn, signOut } from './api.js';
import { h } from './dom.js';
import { announce, wordsOf } from './frame.js';
import { spoken, t } from './language.js';

const REQUEST = `mutation Request($input: RequestCodeInput!) { outcome: requestCode(input: $input) {
  __typename ... on CodeRequested { expiresAt } ... on Error { message } } }`;
const CONFIRM = `mutation Confirm($input: ConfirmCodeInput!) { outcome: confirmCode(input: $input) {
  __typename ... on CodeConfirmed { token } ... on Error { message } } }`;

/** The form; `refresh` shows the page once somebody is signed in. The first field has the focus. */
export function wayIn(refresh, problem) {
  const member = config.page === 'member';
  const token = tokenForm(refresh, problem);
  return h('section', { class: 'card narrow', 'aria-labelledby': 'way-in' },
    h('h1', { id: 'way-in' }, t('signIn')),
    h('p', null, t(`signIn.${config.page}`)),
    config.signIn && h('a', { class: 'button', href: config.signIn }, t('signIn.provider')),
    member && codeForm(refresh),
    member ? h('details', { open: Boolean(problem) }, h('summary', null, t('signIn.other')), token) : token);
}

function tokenForm(refresh, problem) {
  const said = h('p', { class: 'bad', id: 'said', role: 'alert' }, problem && words(problem));
  // No password field: a browser would offer to store what is in one.
  const field = h('input', {
    id: 'token', type: 'text', class: 'secret', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
    'aria-describedby': 'said token-hint',
  });
  const submit = async (event) => {
    event.preventDefault();
    const token = cleaned(field.value);
    field.value = '';
    try {
      if (!token) throw new Problem('NO_TOKEN');
      await entered(token, refresh);
    } catch (refused) {
      said.textContent = words(refused);
      field.focus();
    }
  };
  return h('form', { class: 'fields', onsubmit: submit },
    h('label', { for: 'token' }, t('signIn.token')), field,
    h('button', { type: 'submit', class: config.page === 'member' ? 'quiet' : 'button' }, t('signIn')), said,
    h('p', { class: 'soft', id: 'token-hint' }, t('signIn.hint')));
}

/** First the address, then the code that was sent there: one form, whose second field comes with the code. */
function codeForm(refresh) {
  const said = h('p', { class: 'bad', id: 'code-said', role: 'alert' });
  const address = h('input', { id: 'address', type: 'text', autocomplete: 'email', 'aria-describedby': 'code-said' });
  const code = h('input', {
    id: 'code', type: 'text', inputmode: 'numeric', autocomplete: 'one-time-code', 'aria-describedby': 'code-said',
  });
  const second = h('div', { class: 'fields', hidden: true }, h('p', { id: 'code-sent' }), h('label', { for: 'code' }, t('signIn.code')), code);
  const button = h('button', { type: 'submit', class: 'button' }, t('signIn.send'));
  const whom = () => (address.value.includes('@') ? { email: address.value.trim() } : { phone: address.value.trim() });
  const send = async () => {
    if (config.cookie) await signOut(); // a session that has ended would speak for whoever asks
    await outcomeOf(REQUEST, 'CodeRequested', { input: { ...whom(), language: spoken() } });
    second.hidden = false;
    address.readOnly = true;
    button.textContent = t('signIn');
    second.firstChild.textContent = t('signIn.sent', { address: address.value.trim() });
    announce(second.firstChild.textContent);
    code.focus();
  };
  const confirm = async () => {
    const input = { ...whom(), code: code.value.replace(/\s/g, '') };
    const { token } = await outcomeOf(CONFIRM, 'CodeConfirmed', { input });
    await entered(token, refresh);
  };
  const submit = async (event) => {
    event.preventDefault();
    said.textContent = '';
    button.disabled = true;
    try {
      await (second.hidden ? send() : confirm());
    } catch (problem) {
      said.textContent = wordsOf(problem);
      (second.hidden ? address : code).focus();
    }
    button.disabled = false;
  };
  return h('form', { class: 'fields', onsubmit: submit },
    h('label', { for: 'address' }, t('signIn.address')), address, second, button, said);
}

async function entered(token, refresh) {
  await signIn(token);
  await refresh();
  document.getElementById('main').focus();
}

const words = (problem) =>
  ['UNAUTHENTICATED', 'FORBIDDEN'].includes(problem.code) ? t(`signIn.${problem.code}.${config.page}`) : wordsOf(problem);
