// All that is known of a member as a file, and an end.
import { outcomeOf, signOut } from './api.js';
import { h } from './dom.js';
import { announce, wordsOf } from './frame.js';
import { points, t } from './language.js';

const DATA = `mutation Data { outcome: personalData { __typename ... on PersonalData { at lines }
  ... on Error { code message } } }`;
const ERASE = `mutation Erase($input: EraseMemberInput!) { outcome: eraseMember(input: $input) { __typename
  ... on MemberErased { at } ... on Error { code message } } }`;

export default {
  id: 'data',
  asks: '',
  draw(me) {
    const said = h('p', { class: 'bad', role: 'alert' });
    const download = h('button', { type: 'button', id: 'download', class: 'button' }, t('data.download'));
    download.addEventListener('click', async () => {
      said.textContent = '';
      download.disabled = true;
      try {
        const { at, lines } = await outcomeOf(DATA, 'PersonalData');
        saved(lines, `laurels-${at.slice(0, 10)}.jsonl`);
        announce(t('data.downloaded'));
      } catch (problem) {
        said.textContent = wordsOf(problem);
      }
      download.disabled = false;
      download.focus();
    });
    return h('div', { class: 'card' },
      h('p', null, t('data.text')), said,
      h('div', { class: 'buttons' }, download,
        h('button', { type: 'button', id: 'erase', class: 'quiet', onclick: () => openErase(me) }, t('data.erase'))));
  },
};

/** The step to confirm. Its key is made now, so that however often it is sent, it is done once. */
function openErase(me) {
  const key = `member-${crypto.randomUUID()}`;
  const said = h('p', { class: 'bad', role: 'alert' });
  const sure = h('input', { type: 'checkbox', id: 'sure', onchange: () => { confirm.disabled = !sure.checked; } });
  const confirm = h('button', { type: 'button', id: 'confirm-erase', class: 'button', disabled: true }, t('data.confirm'));
  const cancel = h('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, t('cancel'));
  const lost = me.ledgers.map(({ balance, currency }) => [balance.active + balance.pending + balance.reserved, currency])
    .filter(([all]) => all > 0).map(([all, currency]) => h('li', null, points(all, currency)));
  const dialog = h('dialog', { 'aria-labelledby': 'erase-title' }, h('div', { class: 'dialog' },
    h('h2', { id: 'erase-title' }, t('data.erase')),
    h('p', null, t('data.what')),
    lost.length > 0 && [h('p', null, t('data.lost')), h('ul', null, lost)],
    h('label', { class: 'choice' }, sure, t('data.sure')),
    said, h('div', { class: 'buttons' }, confirm, cancel)));
  confirm.addEventListener('click', async () => {
    said.textContent = '';
    confirm.disabled = true;
    try {
      await outcomeOf(ERASE, 'MemberErased', { input: { key, confirm: true } });
      document.getElementById('main').replaceChildren();
      await signOut().catch(() => null);
      if (!dialog.open) return location.reload();
      const done = h('button', { type: 'button', id: 'done', class: 'button', onclick: () => location.reload() }, t('done'));
      dialog.replaceChildren(h('div', { class: 'dialog' },
        h('h2', { id: 'erase-title' }, t('data.erased')), h('p', null, t('data.erased.text')),
        h('div', { class: 'buttons' }, done)));
      dialog.addEventListener('close', () => location.reload());
      done.focus();
    } catch (problem) {
      said.textContent = wordsOf(problem);
      confirm.disabled = !sure.checked;
      confirm.focus();
    }
  });
  dialog.addEventListener('close', () => { dialog.remove(); document.getElementById('erase')?.focus(); });
  document.body.append(dialog);
  dialog.showModal();
  sure.focus();
}

/** Hands a text to the browser as a file. */
function saved(text, name) {
  const href = URL.createObjectURL(new Blob([text], { type: 'application/jsonl' }));
  h('a', { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
