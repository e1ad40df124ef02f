// Taking a reward: one step to confirm, then the code. The key of the request is made when the step
// opens, so that whatever the net does, and however often the button is pressed, it is taken once.
import { ask } from './api.js';
import { h } from './dom.js';
import { announce, wordsOf } from './frame.js';
import { points, t } from './language.js';

const REDEEM = `mutation Redeem($input: RedeemRewardInput!) { redeemReward(input: $input) { __typename
  ... on RewardRedeemed { replayed redemption { id status codes points currency { code name symbol } } }
  ... on Error { code message path } } }`;

/** Opens the step for a reward; `opener` is the id of what has the focus afterwards. */
export function openRedeem(reward, me, page, opener) {
  const key = `member-${crypto.randomUUID()}`;
  const short = reward.eligibility.missing.map(({ currency }) => currency.code);
  const payable = reward.price.filter(({ currency }) => !short.includes(currency.code));
  let paying = payable[0] ?? reward.price[0];
  const said = h('p', { class: 'bad', role: 'alert' });
  const after = h('p', { class: 'soft' });
  const confirm = h('button', { type: 'button', id: 'confirm', class: 'button' });
  const cancel = h('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, t('cancel'));
  const dialog = h('dialog', { 'aria-labelledby': 'redeem-title' });
  let taken = false;

  const told = () => {
    confirm.textContent = t('redeem.confirm', { points: points(paying.amount, paying.currency) });
    const rest = activeIn(me, paying.currency) - paying.amount;
    after.textContent = t('redeem.after', { points: points(rest, paying.currency) });
  };
  const take = async () => {
    confirm.disabled = true;
    said.textContent = '';
    announce(t('redeem.wait'));
    const input = { key, partner: reward.partner.code, reward: reward.code, currency: paying.currency.code };
    try {
      const { redeemReward: outcome } = await ask(REDEEM, { input });
      if (outcome?.__typename !== 'RewardRedeemed') throw outcome ?? new Error();
      taken = true;
      done(outcome.redemption);
    } catch (problem) {
      said.textContent = problem.__typename ? t('redeem.refused', { why: problem.message }) : wordsOf(problem);
      confirm.disabled = false;
      confirm.focus();
    }
  };
  const done = ({ codes, points: paid, currency }) => {
    const close = h('button', { type: 'button', id: 'done', class: 'button', onclick: () => dialog.close() }, t('done'));
    dialog.replaceChildren(h('div', { class: 'dialog' },
      h('h2', { id: 'redeem-title' }, t('redeem.done')),
      h('p', null, reward.title),
      codes.length ? h('p', null, t('redeem.show', { partner: reward.partner.name })) : null,
      codes.map((code) => h('p', { class: 'code big' }, code)),
      h('p', { class: 'soft' }, t('redeem.paid', { points: points(paid, currency) })),
      h('div', { class: 'buttons' }, close)));
    announce(`${t('redeem.done')} ${codes.join(', ')}`);
    close.focus();
  };
  confirm.addEventListener('click', take);
  dialog.addEventListener('close', async () => {
    dialog.remove();
    if (taken) await page.refresh();
    (document.getElementById(opener) ?? document.getElementById('rewards-title')).focus();
  });
  dialog.append(h('div', { class: 'dialog' },
    h('h2', { id: 'redeem-title' }, t('redeem.title', { reward: reward.title })),
    h('p', { class: 'soft' }, reward.partner.name),
    payable.length > 1 ? choices(payable, (price) => { paying = price; told(); }) : null,
    after, said, h('div', { class: 'buttons' }, confirm, cancel)));
  told();
  document.body.append(dialog);
  dialog.showModal();
  confirm.focus();
}

function choices(payable, choose) {
  return h('fieldset', null, h('legend', null, t('redeem.pay')),
    payable.map((price, n) => h('label', { class: 'choice' },
      h('input', { type: 'radio', name: 'price', checked: n === 0, onchange: () => choose(price) }),
      points(price.amount, price.currency))));
}

function activeIn(me, { code }) {
  return me.ledgers.find(({ currency }) => currency.code === code)?.balance.active ?? 0;
}

