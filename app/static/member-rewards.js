// The catalogue with what each reward asks of this member, and what was taken so far, with its codes.
import { h } from './dom.js';
import { moment, money, points, t } from './language.js';
import { openRedeem } from './member-redeem.js';

export const REDEMPTION = 'id status codes points requestedAt holdUntil currency { code name symbol } reward { title } partner { name }';

export default {
  id: 'rewards',
  asks: `rewards(first: 60) { edges { node { id code title description kind left
      partner { code name } price { amount currency { code name symbol } }
      cash { amount currency } worth { amount currency } tier { ladder tier }
      eligibility { can reasons missing { amount currency { code name symbol } } } } } }
    redemptions(first: 5) { edges { node { ${REDEMPTION} } } }`,
  draw(me, page) {
    const rewards = me.rewards.edges.map(({ node }) => node);
    // What can be had first; the order is the catalogue's otherwise.
    rewards.sort((a, b) => b.eligibility.can - a.eligibility.can);
    const taken = me.redemptions.edges.map(({ node }) => node);
    if (!rewards.length && !taken.length) return null;
    return [
      h('ul', { class: 'cards' }, rewards.map((reward) => card(reward, me, page))),
      taken.length ? h('div', { class: 'card taken' }, h('h3', null, t('rewards.taken')), h('ul', { class: 'lines' }, taken.map(line))) : null,
    ];
  },
};

function line({ reward, partner, status, codes, points: paid, currency, requestedAt }) {
  return h('li', null,
    h('strong', null, reward?.title ?? t('rewards.bill', { partner: partner.name })), ' ',
    h('span', { class: 'tag' }, t(`status.${status}`)),
    status === 'COMPLETED' || status === 'HELD' ? codes.map((code) => [' ', h('code', { class: 'code' }, code)]) : null,
    h('span', { class: 'soft block' }, `${points(paid, currency)} · ${moment(requestedAt)}`));
}

function card(reward, me, page) {
  const { can } = reward.eligibility;
  const title = `reward-${reward.partner.code}-${reward.code}`;
  return h('li', { class: can ? 'card reward' : 'card reward shut', 'data-reward': reward.code },
    h('p', { class: 'tag' }, reward.partner.name),
    h('h3', { id: `${title}-title` }, reward.title),
    reward.description && h('p', { class: 'soft' }, reward.description),
    h('p', { class: 'price' }, prices(reward)),
    reward.left !== null && reward.left <= 20 && h('p', { class: 'soft' }, t('rewards.left', { count: reward.left })),
    can
      ? h('button', {
          type: 'button', id: title, class: 'button', 'aria-haspopup': 'dialog',
          'aria-describedby': `${title}-title`, onclick: () => openRedeem(reward, me, page, title),
        }, t('rewards.redeem'))
      : h('div', { class: 'why' }, h('p', { class: 'soft' }, t('rewards.not')), h('ul', { class: 'lines' }, reasonLines(reward, me))));
}

/** Why not, in the page's language where the figures tell it; else in the server's own words. */
function reasonLines({ eligibility: { reasons, missing }, price, tier, left }, me) {
  const standing = tier && me.tiers.find(({ ladder }) => ladder.code === tier.ladder);
  const place = (code) => standing.ladder.tiers.findIndex((each) => each.code === code);
  const own = [
    ...(missing.length === price.length
      ? missing.map(({ amount, currency }) => t('rewards.missing', { points: points(amount, currency) }))
      : []),
    standing && place(standing.current.code) < place(tier.tier) &&
      t('rewards.tier', { tier: standing.ladder.tiers[place(tier.tier)].name }),
    left === 0 && t('rewards.out'),
  ].filter(Boolean);
  if (own.length === reasons.length) return own.map((reason) => h('li', null, reason));
  return reasons.map((reason) => h('li', { lang: 'en' }, reason));
}

/** What a reward costs, in words. */
export function prices({ price, cash, worth }) {
  const each = price.map(({ amount, currency }) => points(amount, currency)).join(` ${t('or')} `);
  return [each, cash && ` + ${money(cash)}`, worth && ` · ${t('rewards.worth', { money: money(worth) })}`].filter(Boolean).join('');
}

