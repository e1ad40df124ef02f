// How the programme fares, for admins: one query, drawn as pictures. Which currency and how many months
// is chosen here; what was answered for a span of months is drawn again for each currency.
import { heat, line, picture, sideways, stacked } from './charts.js';
import { h } from './dom.js';
import { announce, run } from './frame.js';
import { longMonth, moment, month, number, percent, points, t } from './language.js';

const STATISTICS = `query Programme($from: DateTime) { programmeStatistics(from: $from) { timeZone
  periods { start end joined active members }
  currencies { currency { code name symbol } partners { partner { code name } issued redeemed }
    periods { start issued redeemed expired lapsed clawedBack given taken outstanding ended endedExpired breakage } }
  ladders { ladder { code name } periods { start tiers { tier { code name } members } } }
  cohorts { start members active } } }`;
const SPANS = [6, 12, 24];

const chosen = { months: 12, currency: null };
const page = {};

async function load(ask) {
  const from = new Date();
  from.setUTCDate(15); // the middle of a month is in that month by whatever clock
  from.setUTCMonth(from.getUTCMonth() - chosen.months + 1);
  return { at: new Date(), found: (await ask(STATISTICS, { from: from.toISOString() })).programmeStatistics };
}

function draw({ at, found }) {
  const { currencies } = found;
  const busiest = [...currencies].sort((a, b) => total(b, 'issued') - total(a, 'issued'))[0];
  const shown = currencies.find(({ currency }) => currency.code === chosen.currency) ?? busiest;
  const zone = found.timeZone;
  return [
    h('header', { class: 'hello' },
      h('h1', null, t('programme.title')),
      h('p', { class: 'soft' }, t('programme.intro', { at: moment(at), zone })),
      shown && controls(currencies, shown)),
    ...(shown ? sections(found, shown) : [h('p', { class: 'card narrow' }, t('programme.empty'))]),
  ];
}

function controls(currencies, shown) {
  const pick = (id, key, options, change) =>
    h('label', null, t(key), h('select', { id, onchange: async ({ target }) => {
      await change(target.value);
      announce(`${t(key)}: ${document.getElementById(id)?.selectedOptions[0]?.textContent ?? ''}`);
    } }, options));
  return h('div', { class: 'controls' },
    pick('currency', 'programme.currency',
      currencies.map(({ currency: { code, name, symbol } }) =>
        h('option', { value: code, selected: code === shown.currency.code }, `${symbol} ${name}`.trim())),
      (code) => {
        chosen.currency = code;
        page.redraw();
      }),
    pick('span', 'programme.span',
      SPANS.map((count) => h('option', { value: count, selected: count === chosen.months }, t('programme.months', { count }))),
      (count) => {
        chosen.months = Number(count);
        return page.refresh();
      }));
}

function sections(found, shown) {
  const parts = [
    ['figures', h('ul', { class: 'cards' }, tiles(found, shown))],
    ['points', h('div', { class: 'pictures' }, flow(found, shown), outstanding(found, shown), breakage(found, shown))],
    ['people', h('div', { class: 'pictures' }, active(found))],
    ['loyalty', cohorts(found)],
    ['tiersOf', h('div', { class: 'pictures' }, found.ladders.map((ladder) => tiers(found, ladder)))],
    ['partners', h('div', { class: 'pictures' }, partners(shown))],
  ];
  return parts.map(([id, made]) =>
    h('section', { id, 'aria-labelledby': `${id}-title` }, h('h2', { id: `${id}-title` }, t(`section.${id}`)), made));
}

const total = ({ periods }, name) => periods.reduce((sum, period) => sum + period[name], 0);
const labelsOf = ({ periods, timeZone }) => periods.map(({ start }) => month(start, timeZone));
const longLabels = ({ periods, timeZone }) => periods.map(({ start }) => longMonth(start, timeZone));

function tiles(found, { currency, periods }) {
  const now = found.periods.at(-1);
  const [last, before] = [periods.at(-1), periods.at(-2)];
  const [ended, expired] = [total({ periods }, 'ended'), total({ periods }, 'endedExpired')];
  const tile = (id, figure, name, more) =>
    h('li', { class: 'card tile', id: `tile-${id}` }, h('p', null, h('strong', null, figure), name), h('p', { class: 'soft' }, more));
  return [
    tile('members', number(now.members), t('figures.members'), t('figures.joined', { count: now.joined })),
    tile('active', number(now.active), t('figures.active'),
      t('figures.share', { share: percent(now.members ? now.active / now.members : 0) })),
    tile('outstanding', number(last.outstanding), t('figures.outstanding', { currency: currency.name }),
      before ? t('figures.change', { change: number(last.outstanding - before.outstanding, { signDisplay: 'always' }) }) : ''),
    tile('breakage', ended ? percent(expired / ended) : '–', t('figures.breakage', { currency: currency.name }),
      t('figures.breakage.of', { points: points(ended, currency) })),
  ];
}

function flow(found, { currency, periods }) {
  const title = t('chart.flow', { currency: currency.name });
  const series = [
    ['issued', ({ issued }) => issued],
    ['redeemed', ({ redeemed }) => -redeemed],
    ['expired', ({ expired, lapsed }) => -expired - lapsed],
    ['clawedBack', ({ clawedBack, taken }) => -clawedBack - taken],
    ['given', ({ given }) => given],
  ].map(([name, value]) => ({ name: t(`series.${name}`), values: periods.map(value) }));
  const shown = series.filter(({ values }, n) => n < 2 || values.some(Boolean));
  return picture({
    title, text: t('chart.flow.text'), legend: shown.map(({ name }) => name), whole: true,
    draw: stacked({ title, labels: labelsOf(found), series: shown }),
    table: tableBy(found, shown.map(({ name, values }) => ({ name, values: values.map((value) => number(Math.abs(value))) }))),
  });
}

function outstanding(found, { currency, periods }) {
  const title = t('chart.outstanding', { currency: currency.name });
  const values = periods.map((period) => period.outstanding);
  return picture({
    title, text: t('chart.outstanding.text'), draw: line({ title, labels: labelsOf(found), values }),
    table: tableBy(found, [{ name: t('series.outstanding'), values: values.map((value) => number(value)) }]),
  });
}

function breakage(found, { currency, periods }) {
  const title = t('chart.breakage', { currency: currency.name });
  const values = periods.map((period) => period.breakage);
  return picture({
    title, text: t('chart.breakage.text'),
    draw: values.some((value) => value !== null) && line({ title, labels: labelsOf(found), values, format: percent }),
    table: tableBy(found, [{ name: t('series.breakage'), values: values.map((value) => (value === null ? '–' : percent(value))) }]),
  });
}

function active(found) {
  const title = t('chart.active');
  const fresh = found.cohorts.map((cohort) => cohort.active[0]);
  const series = [
    { name: t('series.returning'), values: found.periods.map((period, n) => period.active - fresh[n]) },
    { name: t('series.new'), values: fresh },
  ];
  return picture({
    title, text: t('chart.active.text'), legend: series.map(({ name }) => name), whole: true,
    draw: stacked({ title, labels: labelsOf(found), series }), table: tableBy(found, counted(series)),
  });
}

function tiers(found, { ladder, periods }) {
  const title = t('chart.tiers', { ladder: ladder.name });
  const series = periods[0].tiers.map(({ tier }, place) => ({
    name: tier.name, values: periods.map((period) => period.tiers[place].members),
  }));
  return picture({
    title, text: t('chart.tiers.text'), legend: series.map(({ name }) => name),
    draw: stacked({ title, labels: labelsOf(found), series }), table: tableBy(found, counted(series)),
  });
}

function cohorts(found) {
  const labels = longLabels(found);
  const rows = found.cohorts.map(({ members, active: seen }, n) => ({ label: labels[n], size: number(members), members, seen }))
    .filter(({ members }) => members)
    .map(({ label, size, members, seen }) => ({
      label, size, shares: found.periods.map((_, n) => (n < seen.length ? seen[n] / members : null)),
    }));
  const head = [t('series.cohort'), t('series.size'), ...found.periods.map((_, n) => t('series.after', { n }))];
  return heat({ title: t('chart.cohorts'), text: t('chart.cohorts.text'), head, rows, format: percent });
}

function partners({ currency, partners: all }) {
  const title = t('chart.partners', { currency: currency.name });
  const labels = all.map(({ partner }) => partner?.name ?? t('history.programme'));
  const series = ['issued', 'redeemed'].map((name) => ({ name: t(`series.${name}`), values: all.map((each) => each[name]) }));
  return picture({
    title, text: t('chart.partners.text'), legend: series.map(({ name }) => name), whole: true,
    draw: all.length > 0 && sideways({ title, labels, series }),
    table: {
      head: [t('series.partner'), ...series.map(({ name }) => name)],
      rows: labels.map((label, n) => [label, ...series.map(({ values }) => number(values[n]))]),
    },
  });
}

const counted = (series) => series.map(({ name, values }) => ({ name, values: values.map((value) => number(value)) }));

/** A table by month, the latest first: who looks for a figure looks for that one. */
function tableBy(found, series) {
  const rows = longLabels(found).map((label, n) => [label, ...series.map(({ values }) => values[n])]).reverse();
  return { head: [t('series.month'), ...series.map(({ name }) => name)], rows };
}

Object.assign(page, await run({ title: 'programme.title', load, draw }));
