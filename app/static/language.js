// The language that a page speaks, kept in the browser; numbers, money and dates as it writes them.
import { config } from './api.js';

const KEPT = 'laurels-language';
const LOCALES = { en: 'en-GB', tr: 'tr-TR' };
export const LANGUAGES = { en: 'English', tr: 'Türkçe' };

let texts = {};
let locale = LOCALES.en;

/** Which language to begin with: the one that was chosen here, else the one that the server found. */
export function chosen(offered) {
  const kept = readKept();
  return kept in LANGUAGES ? kept : offered;
}

/** Speaks a language from now on, and keeps it if it was chosen by hand. */
export async function speak(language, { keep = false } = {}) {
  const [ofAll, own] = await Promise.all(['', `${config.page}-`].map((page) => import(`./texts-${page}${language}.js`)));
  texts = { ...ofAll.default, ...own.default };
  locale = LOCALES[language];
  document.documentElement.lang = language;
  if (keep) {
    try {
      localStorage.setItem(KEPT, language);
    } catch {
      // A browser that keeps nothing forgets the language, too.
    }
  }
}

function readKept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

/** The language spoken now. */
export const spoken = () => document.documentElement.lang;

/** A text with its `{names}` filled in; of several forms the one that `count` takes. */
export function t(key, values = {}) {
  let found = texts[key] ?? key;
  if (typeof found === 'object') found = found[new Intl.PluralRules(locale).select(values.count)] ?? found.other;
  return found.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === 'number' ? number(value) : (value ?? '');
  });
}

/** Whether there is a text for it. */
export const known = (key) => key in texts;

/** A name in the way in which the language sorts and writes it in capitals. */
export const upper = (text) => text.toLocaleUpperCase(locale);

export const number = (value, options) => new Intl.NumberFormat(locale, options).format(value);
export const percent = (part) => number(part, { style: 'percent', maximumFractionDigits: part < 0.1 ? 1 : 0 });
export const compact = (value) => number(value, { notation: 'compact', maximumFractionDigits: 1 });

/** Money of the API: a decimal text in major units, and its currency. */
export const money = ({ amount, currency }) => number(Number(amount), { style: 'currency', currency });

/** Money in minor units, as a ladder's measure counts it. */
export function minorMoney(amount, currency) {
  const places = new Intl.NumberFormat(locale, { style: 'currency', currency }).resolvedOptions().maximumFractionDigits;
  return number(amount / 10 ** places, { style: 'currency', currency });
}

/** Points in words: 1,240 Stars, with the sign that the currency has. */
export const points = (amount, { symbol, name }) => `${number(amount)} ${name}${symbol ? ` ${symbol}` : ''}`;

export const day = (at) => date(at, { dateStyle: 'medium' });
export const moment = (at) => date(at, { dateStyle: 'medium', timeStyle: 'short' });
export const month = (at, timeZone) => date(at, { month: 'short', year: '2-digit', timeZone });
export const longMonth = (at, timeZone) => date(at, { month: 'long', year: 'numeric', timeZone });

function date(at, options) {
  return new Intl.DateTimeFormat(locale, options).format(new Date(at));
}

/** How far ahead an instant is, in words: in 3 days, tomorrow. */
export function ahead(at) {
  const hours = (Date.parse(at) - Date.now()) / 3_600_000;
  const [value, unit] = hours < 48 ? [Math.round(hours), 'hour'] : [Math.round(hours / 24), 'day'];
  return new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(value, unit);
}
