// Draws what shapes.js found: plain SVG, each with a title, a description and a table of the same.
import { createContext, useContext, useId } from 'react';
import { plain } from './shapes.js';

/** How wide pictures are, in pixels: words in them keep their size. */
export const Width = createContext(300);
const MOST_ROWS = 24;
const DAY = 86_400_000;

const DRAWN = { bars: Bars, progress: Progress, timeline: Timeline, running: Running };
const TABLES = { bars: barsTable, progress: progressTable, timeline: timelineTable, running: runningTable };

export function Picture({ picture }) {
  const Drawing = DRAWN[picture.kind];
  const { head, rows } = TABLES[picture.kind](picture);
  return (
    <figure className={`picture ${picture.kind}`}>
      <figcaption>{picture.title}</figcaption>
      {picture.series?.length > 1 && <Legend series={picture.series} />}
      <Drawing {...picture} />
      <details>
        <summary>As a table</summary>
        <div className="table" tabIndex={0} role="group" aria-label={`${picture.title}, as a table`}>
          <table>
            <thead>
              <tr>{head.map((text) => <th key={text} scope="col">{text}</th>)}</tr>
            </thead>
            <tbody>
              {rows.map((cells, row) => (
                <tr key={row}>{cells.map((text, cell) => <td key={cell}>{text}</td>)}</tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function Legend({ series }) {
  return (
    <ul className="legend" aria-hidden="true">
      {series.map((name, n) => <li key={name} className={`series-${n % 6}`}>{name}</li>)}
    </ul>
  );
}

/** An SVG that says in words what it shows. */
function Svg({ height, title, says, children }) {
  const id = useId();
  const width = useContext(Width);
  return (
    <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-labelledby={`${id}-t ${id}-d`}>
      <title id={`${id}-t`}>{title}</title>
      <desc id={`${id}-d`}>{says}</desc>
      {children}
    </svg>
  );
}

// --- bars -----------------------------------------------------------------------------------------

const BAR = 9;
const LINE = 16;

/** Each row has a line of words, its figure at the end where it has but one, and its bars below. */
function Bars({ title, series, rows }) {
  const width = useContext(Width);
  const shown = rows.slice(0, MOST_ROWS);
  const values = shown.flatMap((row) => row.values);
  const [least, most] = [Math.min(0, ...values), Math.max(0, ...values)];
  const alone = series.length === 1;
  const room = alone ? width : width - 70; // figures stand behind their bars, where there are several
  const x = (value) => ((value - least) / (most - least || 1)) * room;
  const heights = shown.map(({ values: own }) => LINE + (alone ? (own[0] && BAR + 4) : own.length * (LINE - 2) + 6));
  const tops = heights.map((_, row) => sumOf(heights.slice(0, row)));
  const height = sumOf(heights);
  const says = shown.map(({ label, values: v }) => `${label}: ${v.map(plain).join(', ')}`).join('; ');
  return (
    <Svg height={height + (rows.length > shown.length ? LINE : 0)} title={title} says={says}>
      {shown.map(({ label, values: own }, row) => (
        <g key={row} transform={`translate(0 ${tops[row]})`}>
          <text y="11">{short(label, fitting(alone ? width - 50 : width))}</text>
          {alone && <Figure x={width} y="11" end>{plain(own[0])}</Figure>}
          {own.map((value, n) => {
            const y = LINE + n * (LINE - 2);
            const from = Math.min(x(0), x(value));
            const wide = Math.abs(x(value) - x(0));
            return (
              <g key={n}>
                {wide > 0 && (
                  <rect className={`series-${n % 6}`} x={from} y={y} width={Math.max(wide, 1)} height={BAR} rx="2" />
                )}
                {!alone && <Figure x={from + wide + 4} y={y + 9}>{plain(value)}</Figure>}
              </g>
            );
          })}
          {heights[row] > LINE && <line className="axis" x1={x(0)} x2={x(0)} y1={LINE - 1} y2={heights[row] - 3} />}
        </g>
      ))}
      {rows.length > shown.length && (
        <Figure x="0" y={height + 10}>{`and ${rows.length - shown.length} more, in the table`}</Figure>
      )}
    </Svg>
  );
}

const sumOf = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

function Figure({ end, children, ...place }) {
  return (
    <text className="figure" textAnchor={end ? 'end' : 'start'} {...place}>
      {children}
    </text>
  );
}

function barsTable({ series, rows }) {
  return { head: ['', ...series], rows: rows.map(({ label, values }) => [label, ...values.map(plain)]) };
}

// --- progress -------------------------------------------------------------------------------------

function Progress({ title, rows }) {
  const width = useContext(Width);
  const shown = rows.slice(0, MOST_ROWS);
  const says = shown.map(({ label, note }) => `${label}: ${note}`).join('; ');
  return (
    <Svg height={shown.length * 48} title={title} says={says}>
      {shown.map(({ label, value, of, note }, row) => (
        <g key={row} transform={`translate(0 ${row * 48})`}>
          <text y="12">{short(label, fitting(width))}</text>
          {of !== null && (
            <>
              <rect className="rail" y="17" width={width} height={BAR} rx="4" />
              <rect className="series-0" y="17" width={Math.max(part(value, of) * width, 4)} height={BAR} rx="4" />
            </>
          )}
          <text className="figure" y="40">
            {short((of === null ? '' : `${Math.floor(part(value, of) * 100)}% · `) + note, fitting(width))}
          </text>
        </g>
      ))}
    </Svg>
  );
}

const part = (value, of) => (of > 0 ? Math.min(Math.max(value / of, 0), 1) : 1);

function progressTable({ rows }) {
  return {
    head: ['', 'reached', 'of', 'in words'],
    rows: rows.map(({ label, value, of, note }) => [label, ...[value, of].map((n) => (n === null ? '–' : plain(n))), note]),
  };
}

// --- along time -----------------------------------------------------------------------------------

/** Where a time stands between the first and the last; one alone stands in the middle. */
function timeScale(points, left, right) {
  const [first, last] = [points[0].at, points.at(-1).at];
  return (at) => (last === first ? (left + right) / 2 : left + ((at - first) / (last - first)) * (right - left));
}

function Timeline({ title, points }) {
  const width = useContext(Width);
  const x = timeScale(points, 34, width - 34);
  const most = Math.max(...points.map(({ amount }) => amount)) || 1;
  const named = spread(points.map(({ at }) => x(at)), 62);
  const says = points.slice(0, MOST_ROWS).map(({ at, amount }) => `${dateOf(at)}: ${plain(amount)}`).join('; ');
  return (
    <Svg height={104} title={title} says={says}>
      <line className="axis" x1="0" x2={width} y1="82" y2="82" />
      {points.map(({ at, amount }, n) => {
        const top = 82 - 8 - (Math.max(amount, 0) / most) * 52;
        return (
          <g key={n}>
            <line className="stem" x1={x(at)} x2={x(at)} y1="82" y2={top} />
            <circle className="series-2" cx={x(at)} cy={top} r="4" />
            {named.has(n) && (
              <>
                <text className="figure" x={x(at)} y={top - 8} textAnchor="middle">{plain(amount)}</text>
                <text className="figure" x={x(at)} y="97" textAnchor="middle">{dateOf(at)}</text>
              </>
            )}
          </g>
        );
      })}
    </Svg>
  );
}

/** The places of those that keep a distance from the one named before; the first and the last always. */
function spread(places, distance) {
  const named = new Set([0]);
  let before = places[0];
  const last = places.length - 1;
  places.forEach((place, n) => {
    if (place - before < distance || (n !== last && places[last] - place < distance)) return;
    named.add(n);
    before = place;
  });
  return named;
}

function timelineTable({ points }) {
  const rows = points.map(({ at, amount }) => [momentOf(at), plain(amount)]);
  return { head: ['when', 'points'], rows };
}

function Running({ title, points, days }) {
  const width = useContext(Width);
  const sums = running(points);
  const [least, most] = [Math.min(0, ...sums), Math.max(0, ...sums)];
  const x = timeScale(points, 6, width - 70);
  const y = (value) => 96 - ((value - least) / (most - least || 1)) * 84;
  const path = points.map(({ at }, n) => `${n ? `H${x(at)}V` : `M${x(at)} ${y(0)}V`}${y(sums[n])}`).join('');
  const tallest = Math.max(1, ...days.flatMap((day) => [day.in, day.out]));
  const high = (amount) => (amount / tallest) * 28;
  const thick = Math.max(2, Math.min(14, (width - 76) / (days.length * 2)));
  const noon = (day) => Math.min(Math.max(Date.parse(day) + DAY / 2, points[0].at), points.at(-1).at);
  const says =
    `${plain(points.length)} entries from ${dateOf(points[0].at)} to ${dateOf(points.at(-1).at)}, ` +
    `which come to ${plain(sums.at(-1))} in sum`;
  return (
    <Svg height={186} title={title} says={says}>
      <line className="axis" x1="0" x2={width - 64} y1={y(0)} y2={y(0)} />
      <path className="line" d={path} />
      <text className="figure" x={x(points.at(-1).at) + 6} y={y(sums.at(-1)) + 4}>{plain(sums.at(-1))}</text>
      <line className="axis" x1="0" x2={width - 64} y1="138" y2="138" />
      {days.map((day) => (
        <g key={day.day}>
          <rect className="series-0" x={x(noon(day.day)) - thick / 2} y={138 - high(day.in)} width={thick} height={high(day.in)} />
          <rect className="series-1" x={x(noon(day.day)) - thick / 2} y="138" width={thick} height={high(day.out)} />
        </g>
      ))}
      <text className="figure" x={width - 60} y="130">in</text>
      <text className="figure" x={width - 60} y="152">out</text>
      <text className="figure" x="0" y="182">{dateOf(points[0].at)}</text>
      <text className="figure" x={width - 64} y="182" textAnchor="end">{dateOf(points.at(-1).at)}</text>
    </Svg>
  );
}

function running(points) {
  let sum = 0;
  return points.map(({ change }) => (sum += change));
}

function runningTable({ points }) {
  const sums = running(points);
  return {
    head: ['when', 'what', 'change', 'sum of these'],
    rows: points.map(({ at, change, label }, n) => [momentOf(at), label, plain(change), plain(sums[n])]),
  };
}

const dateOf = (at) => new Date(at).toISOString().slice(0, 10);
const momentOf = (at) => new Date(at).toISOString().slice(0, 16).replace('T', ' ');
/** How many letters have room, of six pixels each. */
const fitting = (pixels) => Math.floor(pixels / 6);
const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
