// Pictures as SVG, each with a title, a description and a table of the same figures. What is drawn knows
// its room in pixels and is drawn anew when that changes, so that words keep their size.
import { h, newId, s } from './dom.js';
import { compact, t } from './language.js';

const LEFT = 52;
const RIGHT = 14;
const TOP = 10;
const HEIGHT = 210;
const BOTTOM = 26;

/** A picture in its frame: `draw(width)` makes the SVG; `table` is { head, rows }. */
export function picture({ title, text, legend = [], draw, table, whole = false }) {
  const room = h('div', { class: 'room' });
  if (draw) drawnIn(room, draw);
  else room.append(h('p', { class: 'soft' }, t('chart.none')));
  return h('figure', { class: whole ? 'card picture whole' : 'card picture' },
    h('figcaption', null, h('h3', null, title)),
    text && h('p', { class: 'soft' }, text),
    legend.length > 1 && h('ul', { class: 'legend', 'aria-hidden': 'true' },
      legend.map((name, n) => h('li', { class: `series-${n % 6}` }, h('span', null, name)))),
    room,
    draw && table && h('details', null, h('summary', null, t('chart.table')), scrolled(title, tableOf(table))));
}

function drawnIn(room, draw) {
  let before = 0;
  new ResizeObserver(() => {
    const width = Math.floor(room.clientWidth);
    if (!width || width === before) return;
    before = width;
    room.replaceChildren(draw(width));
  }).observe(room);
}

const scrolled = (title, table) =>
  h('div', { class: 'table', tabindex: '0', role: 'group', 'aria-label': t('chart.scroll', { title }) }, table);

function tableOf({ head, rows }) {
  return h('table', null,
    h('thead', null, h('tr', null, head.map((text) => h('th', { scope: 'col' }, text)))),
    h('tbody', null, rows.map(([first, ...rest]) =>
      h('tr', null, h('th', { scope: 'row' }, first), rest.map((text) => h('td', null, text))))));
}

/** An SVG that says in words what it shows. */
function drawing(width, height, title, says, children) {
  const [a, b] = [newId('t'), newId('d')];
  return s('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-labelledby': `${a} ${b}` },
    s('title', { id: a }, title), s('desc', { id: b }, says), children);
}

/** A scale over the values, its lines at round figures. */
function scaled(values, format) {
  const [least, most] = [Math.min(0, ...values), Math.max(0, ...values)];
  const step = roundStep((most - least) / 4 || 1);
  const [low, high] = [Math.floor(least / step) * step, Math.ceil(most / step) * step || step];
  const y = (value) => TOP + (1 - (value - low) / (high - low)) * (HEIGHT - TOP);
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, n) => low + n * step);
  const lines = (width) => ticks.map((tick) => [
    s('line', { class: tick ? 'grid' : 'axis', x1: LEFT, x2: width, y1: y(tick), y2: y(tick) }),
    s('text', { x: LEFT - 8, y: y(tick) + 4, 'text-anchor': 'end' }, format(Math.abs(tick))),
  ]);
  return { y, lines };
}

function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
  return step;
}

/** The labels below, as many as have room. */
function below(labels, x, width) {
  const every = Math.ceil((labels.length * 52) / (width - LEFT - RIGHT));
  return labels.map((label, n) =>
    (labels.length - 1 - n) % every === 0 &&
    s('text', { x: x(n), y: HEIGHT + BOTTOM - 6, 'text-anchor': 'middle' }, label));
}

const spoken = (labels, series, format) =>
  labels.map((label, n) => `${label}: ${series.map(({ name, values }) => `${name} ${format(values[n] ?? 0)}`).join(', ')}`).join('; ');

/** Bars upon each other for each label; values below zero hang from the line. */
export function stacked({ title, labels, series, format = compact }) {
  return (width) => {
    const sums = labels.flatMap((_, n) => [1, -1].map((sign) =>
      series.reduce((sum, { values }) => sum + (values[n] * sign > 0 ? values[n] : 0), 0)));
    const { y, lines } = scaled(sums, format);
    const each = (width - LEFT - RIGHT) / labels.length;
    const thick = Math.min(each * 0.66, 40);
    const x = (n) => LEFT + each * (n + 0.5);
    const bars = labels.map((_, n) => {
      let [up, down] = [0, 0];
      return series.map(({ values }, k) => {
        const value = values[n];
        if (!value) return null;
        const from = value > 0 ? up : down;
        if (value > 0) up += value;
        else down += value;
        const [top, bottom] = [y(Math.max(from, from + value)), y(Math.min(from, from + value))];
        return s('rect', {
          class: `series-${k % 6}`, x: x(n) - thick / 2, y: top, width: thick, height: Math.max(bottom - top, 0.8), rx: 2,
        });
      });
    });
    return drawing(width, HEIGHT + BOTTOM, title, spoken(labels, series, format), [lines(width), bars, below(labels, x, width)]);
  };
}

/** One line over time, a gap where a value is null. */
export function line({ title, labels, values, format = compact }) {
  return (width) => {
    const { y, lines } = scaled(values.map((value) => value ?? 0), format);
    const each = (width - LEFT - RIGHT) / labels.length;
    const x = (n) => LEFT + each * (n + 0.5);
    const runs = [];
    values.forEach((value, n) => {
      if (value === null) return;
      if (n && values[n - 1] !== null) runs.at(-1).push(n);
      else runs.push([n]);
    });
    const path = (run) => run.map((n, place) => `${place ? 'L' : 'M'}${x(n)} ${y(values[n])}`).join('');
    const drawn = runs.map((run) => [
      s('path', { class: 'area', d: `${path(run)}L${x(run.at(-1))} ${y(0)}L${x(run[0])} ${y(0)}Z` }),
      s('path', { class: 'line', d: path(run) }),
      run.map((n) => s('circle', { class: 'series-0', cx: x(n), cy: y(values[n]), r: 3 })),
    ]);
    const says = labels.map((label, n) => `${label}: ${values[n] === null ? '–' : format(values[n])}`).join('; ');
    return drawing(width, HEIGHT + BOTTOM, title, says, [lines(width), drawn, below(labels, x, width)]);
  };
}

/** Bars side by side, a group for each label. */
export function sideways({ title, labels, series, format = compact }) {
  return (width) => {
    const most = Math.max(1, ...series.flatMap(({ values }) => values));
    const group = 22 + series.length * 15;
    const room = width - 60;
    const rows = labels.map((label, n) => s('g', { transform: `translate(0 ${n * group})` },
      s('text', { class: 'name', x: 0, y: 13 }, label),
      series.map(({ values }, k) => {
        const long = Math.max((values[n] / most) * room, values[n] ? 2 : 0);
        return [
          s('rect', { class: `series-${k % 6}`, x: 0, y: 19 + k * 15, width: long, height: 10, rx: 2 }),
          s('text', { x: long + 6, y: 28 + k * 15 }, format(values[n])),
        ];
      })));
    return drawing(width, labels.length * group, title, spoken(labels, series, format), rows);
  };
}

/** A table whose cells have the darker ground the greater their share, from 0 to 1; it is a table itself. */
export function heat({ title, text, head, rows, format }) {
  const cell = (share) => {
    if (share === null) return h('td', null);
    const shade = share === 0 ? 0 : Math.min(4, 1 + Math.floor(share * 4));
    return h('td', { class: `heat-${shade}` }, format(share));
  };
  return h('figure', { class: 'card picture whole' },
    h('figcaption', null, h('h3', null, title)),
    h('p', { class: 'soft' }, text),
    scrolled(title, h('table', { class: 'heat' },
      h('thead', null, h('tr', null, head.map((name) => h('th', { scope: 'col' }, name)))),
      h('tbody', null, rows.map(({ label, size, shares }) =>
        h('tr', null, h('th', { scope: 'row' }, label), h('th', { scope: 'row', class: 'soft' }, size), shares.map(cell)))))));
}
