// Finds in an answer what is better looked at than read, wherever it stands in the tree: pure, so that
// `node --test` can try it. What comes out are pictures of four kinds, each with all it shows in words:
//   bars      { series: [name], rows: [{ label, values: [n] }] }   side by side, for each row
//   progress  { rows: [{ label, value, of, note }] }               how far, `of` null where nobody knows
//   timeline  { points: [{ at, amount, label }] }                  what comes up when
//   running   { points: [{ at, change, label }], days: [{ day, in, out }] }
// each with { kind, title, unit }. Knows nothing of GraphQL types: it goes by the names of fields.

const MOST_PICTURES = 60;
const BALANCES = ['active', 'pending', 'reserved', 'arrears'];
const FATES = ['issued', 'given', 'outstanding', 'redeemed', 'expired', 'clawedBack', 'arrears'];
const PAIRS = [['now', 'then'], ['live', 'shadow'], ['added', 'taken'], ['earned', 'given']];
const PERIODS = ['month', 'day', 'week', 'quarter', 'year', 'period', 'date'];

/** The pictures of an answer's data, in the order in which it holds them; [] where there are none. */
export function picturesOf(data) {
  const found = [];
  walk(data, [], found);
  return found.slice(0, MOST_PICTURES);
}

function walk(value, above, found) {
  if (found.length >= MOST_PICTURES || value === null || typeof value !== 'object') return;
  if (Array.isArray(value)) {
    for (const each of value) walk(each, above, found);
    return;
  }
  const here = [...above, value];
  found.push(...[balanceOf(value, here), fatesOf(value, here)].filter(Boolean));
  for (const [field, below] of Object.entries(value)) {
    if (isList(below)) found.push(...picturesOfList(field, nodesOf(below), here));
    walk(below, here, found);
  }
}

// --- one object -----------------------------------------------------------------------------------

function balanceOf(ledger, path) {
  const { balance } = ledger;
  const held = BALANCES.filter((name) => isNumber(balance?.[name]));
  if (!held.length) return null;
  const rows = held.map((name) => ({ label: words(name), values: [Number(balance[name])] }));
  return picture('bars', 'Balance', path, { series: ['points'], rows });
}

function fatesOf(issued, path) {
  const told = FATES.filter((name) => isNumber(issued[name]));
  // Two of them alone could be anything: a reward has some left, an award was given.
  if (told.length < 3 || !('issued' in issued || 'redeemed' in issued)) return null;
  const rows = told.map((name) => ({ label: words(name), values: [Number(issued[name])] }));
  const title = `Issued by ${textOf(issued.partner) ?? 'the programme'}`;
  return picture('bars', title, path.slice(0, -1), { series: ['points'], rows });
}

// --- a list of objects ----------------------------------------------------------------------------

function picturesOfList(field, nodes, path) {
  if (!nodes.length) return [];
  for (const find of FINDERS) {
    const found = find(field, nodes, path);
    if (found) return [found].flat();
  }
  return [];
}

const FINDERS = [
  timelineOf,
  runningOf,
  lotsOf,
  tiersOf,
  challengesOf,
  accountsOf,
  pairsOf,
  movesOf,
  periodsOf,
];

/** Entries of a ledger: what each did to the balance, oldest first. */
function runningOf(field, nodes, path) {
  const all = nodes.map((node) => ({ at: timeOf(node.at), change: changeOf(node), node }));
  if (!all.every(({ at, change }) => at !== null && change !== null)) return null;
  const points = byTime(all).map(({ at, change, node }) => ({ at, change, label: entryWords(node) }));
  const own = nodes[0].currency && !currencyOf(path) ? [...path, nodes[0]] : path;
  return picture('running', words(field), own, { points, days: daysOf(points) });
}

function changeOf({ change, amount, kind, source, target }) {
  if (isNumber(change)) return Number(change);
  if (!isNumber(amount)) return null;
  if (source && target)
    return Number(amount) * ((target === 'ACTIVE' ? 1 : 0) - (source === 'ACTIVE' ? 1 : 0));
  if (ADDING.has(kind)) return Number(amount);
  return TAKING.has(kind) ? -Number(amount) : null;
}
const ADDING = new Set(['ACCRUAL', 'ACTIVATION', 'RELEASE', 'REVERSAL']);
const TAKING = new Set(['REDEMPTION', 'EXPIRY', 'CLAWBACK', 'RESERVATION', 'LAPSE', 'REPAYMENT']);

function entryWords({ kind, partner }) {
  return [kind && words(kind), textOf(partner)].filter(Boolean).join(', ');
}

function daysOf(points) {
  const days = new Map();
  for (const { at, change } of points) {
    const day = new Date(at).toISOString().slice(0, 10);
    const sums = days.get(day) ?? { day, in: 0, out: 0 };
    if (change > 0) sums.in += change;
    else sums.out -= change;
    days.set(day, sums);
  }
  return [...days.values()];
}

/** Lots: what each brought and what is left of it, and until when that may be spent. */
function lotsOf(field, nodes, path) {
  const isLot = (n) => timeOf(n.earnedAt) !== null && isNumber(n.amount) && isNumber(n.remaining);
  if (!nodes.every(isLot)) return null;
  const days = new Map();
  for (const { earnedAt, amount, remaining } of nodes) {
    const day = earnedAt.slice(0, 10);
    const [brought, left] = days.get(day) ?? [0, 0];
    days.set(day, [brought + Number(amount), left + Number(remaining)]);
  }
  const rows = [...days].sort().map(([label, values]) => ({ label, values }));
  const lots = picture('bars', 'Lots by day', path, { series: ['brought', 'left'], rows });
  const ends = nodes
    .filter((n) => Number(n.remaining) > 0 && timeOf(n.expiresAt) !== null)
    .map((n) => ({ at: timeOf(n.expiresAt), amount: Number(n.remaining) }));
  if (!ends.length) return lots;
  return [lots, picture('timeline', 'What is left expires', path, { points: summed(ends) })];
}

const COMING = { expiring: 'Expires', activating: 'Becomes active' };

function timelineOf(field, nodes, path) {
  const title = COMING[field];
  if (!title || !nodes.every((node) => isNumber(node.amount))) return null;
  const dated = nodes.filter((node) => timeOf(node.at) !== null);
  const points = summed(dated.map((node) => ({ at: timeOf(node.at), amount: Number(node.amount) })));
  return points.length ? picture('timeline', title, path, { points }) : null;
}

function summed(points) {
  const sums = new Map();
  for (const { at, amount } of points) sums.set(at, (sums.get(at) ?? 0) + amount);
  return byTime([...sums].map(([at, amount]) => ({ at, amount })));
}

function tiersOf(field, nodes, path) {
  if (!nodes.every((node) => node.current?.name && ('toNext' in node || 'toKeep' in node))) return null;
  const rows = nodes.flatMap((node) => {
    const label = `${textOf(node.ladder) ?? 'Ladder'}: ${node.current.name}`;
    return [toNext(label, node), toKeep(label, node)].filter(Boolean);
  });
  return rows.length ? picture('progress', 'Tiers', path, { rows }) : null;
}

function toNext(label, { value, toNext: next }) {
  if (!isNumber(next?.missing)) return null;
  const missing = Number(next.missing);
  const of = reach(value, missing) ?? numberOr(next.tier?.threshold);
  const note = `${plain(missing)} missing to ${textOf(next.tier) ?? 'the next'}`;
  return { label, value: of === null ? null : of - missing, of, note };
}

function toKeep(label, { value, toKeep: keep }) {
  if (!isNumber(keep?.missing)) return null;
  const missing = Number(keep.missing);
  const until = keep.until ? ` until ${keep.until.slice(0, 10)}` : '';
  const note = missing ? `${plain(missing)} missing to keep it${until}` : `kept${until}`;
  const of = reach(value, missing) ?? (missing ? null : 1);
  return { label: `${label}, to keep`, value: of === null ? null : of - missing, of, note };
}

const reach = (value, missing) => (isNumber(value) ? Number(value) + missing : null);

function challengesOf(field, nodes, path) {
  if (!nodes.every((node) => isNumber(node.current) && isNumber(node.target))) return null;
  const rows = nodes.map(({ title, rule, current, target, missing, until }) => ({
    label: title ?? rule ?? words(field),
    value: Number(current),
    of: Number(target),
    note:
      (isNumber(missing) ? `${plain(Number(missing))} missing` : `${current} of ${target}`) +
      (until ? ` until ${until.slice(0, 10)}` : ''),
  }));
  return picture('progress', 'Challenges', path, { rows });
}

function accountsOf(field, nodes, path) {
  if (!nodes.every((node) => typeof node.account === 'string' && isNumber(node.points))) return null;
  const rows = nodes.map((node) => ({ label: words(node.account), values: [Number(node.points)] }));
  return picture('bars', 'Accounts', path, { series: ['points'], rows });
}

/** Rows that hold two figures to compare, such as a what-if's now and then. */
function pairsOf(field, nodes, path) {
  const pair = PAIRS.find((names) => nodes.every((node) => names.every((name) => isNumber(node[name]))));
  if (!pair) return null;
  const rows = nodes.map((node, n) => ({
    label: rowWords(node, path) || `${words(field)} ${n + 1}`,
    values: pair.map((name) => Number(node[name])),
  }));
  return picture('bars', words(field), path, { series: pair, rows });
}

/** How many members a what-if moves from one tier to another. */
function movesOf(field, nodes, path) {
  if (!nodes.every((node) => node.now?.name && node.then?.name && isNumber(node.members))) return null;
  const rows = nodes.map(({ ladder, now, then, members }) => ({
    label: `${textOf(ladder) ?? ladder ?? ''} ${now.name} → ${then.name}`.trim(),
    values: [Number(members)],
  }));
  return picture('bars', 'Tiers change', path, { series: ['members'], rows });
}

/** A table by month, or by another period: all its figures side by side. */
function periodsOf(field, nodes, path) {
  const period = PERIODS.find((name) => nodes.every((node) => typeof node[name] === 'string'));
  if (!period) return null;
  const series = Object.keys(nodes[0]).filter((name) => nodes.every((node) => isNumber(node[name])));
  if (!series.length) return null;
  const rows = nodes.map((node) => ({
    label: rowWords({ ...node, label: node[period] }, path),
    values: series.map((name) => Number(node[name])),
  }));
  return picture('bars', words(field), path, { series: series.map(words), rows });
}

// --- words and numbers ----------------------------------------------------------------------------

function picture(kind, title, path, rest) {
  const whose = [...path].reverse().map(nameOf).find(Boolean);
  const unit = currencyOf(path);
  return { kind, title: [whose, unit, title].filter(Boolean).join(' · '), unit: unit ?? '', ...rest };
}

/** Whose picture it is: a person's or a partner's name above it, or the rule that a what-if tries. */
function nameOf(object) {
  for (const name of [object.name, object.draft]) if (typeof name === 'string') return name;
  return object.member?.name ?? null;
}

function currencyOf(path) {
  for (const { currency } of [...path].reverse()) {
    if (typeof currency?.code === 'string') return currency.code;
    if (typeof currency === 'string') return currency;
  }
  return null;
}

function rowWords(node, path) {
  const { label, title, code, rule, reason, member, partner, currency } = node;
  const unit = currency && currencyOf([node]);
  const subject = label ?? title ?? code ?? rule ?? textOf(reason) ?? textOf(member) ?? textOf(partner);
  return [subject, unit === currencyOf(path) ? null : unit].filter(Boolean).join(' · ');
}

/** An object's own words for itself. */
function textOf(object) {
  return object?.name ?? object?.title ?? object?.code ?? null;
}

/** `clawedBack` and `CLAWED_BACK` as people write it. */
export function words(name) {
  const spaced = name.replace(/_/g, ' ').replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** A number as people write it. */
export const plain = (number) => number.toLocaleString('en-GB', { maximumFractionDigits: 2 });

function isList(value) {
  return Array.isArray(value) || Array.isArray(value?.edges) || Array.isArray(value?.nodes);
}

function nodesOf(list) {
  const nodes = Array.isArray(list) ? list : list.edges ? list.edges.map((e) => e?.node) : list.nodes;
  return nodes.every((node) => node && typeof node === 'object') ? nodes : [];
}

const isNumber = (value) =>
  typeof value === 'number' ? Number.isFinite(value) : /^-?\d{1,20}(\.\d+)?$/.test(value ?? '');
const numberOr = (value) => (isNumber(value) ? Number(value) : null);

function timeOf(text) {
  if (typeof text !== 'string' || !/^\d{4}-\d\d-\d\d/.test(text)) return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

const byTime = (points) => points.map((p, n) => [p, n]).sort(([a, n], [b, m]) => a.at - b.at || m - n).map(([p]) => p);
