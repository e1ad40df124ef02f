// What both pages stand in: a bar with the language and the way out, the way in, and a voice for what
// changes. A page hands in how it is asked and drawn; it is drawn anew when the language changes.
import { ask, config, current, Problem, signIn, signOut, takeToken } from './api.js';
import { h } from './dom.js';
import { chosen, known, LANGUAGES, speak, spoken, t } from './language.js';
import { wayIn } from './signin.js';

const bar = document.getElementById('bar');
const main = document.getElementById('main');
const voice = document.getElementById('voice');
const skip = document.getElementById('skip');
let shown = () => {};

/** Says something to who reads with their ears; it is seen nowhere. */
export function announce(text) {
  voice.textContent = '';
  requestAnimationFrame(() => (voice.textContent = text));
}

/** What went wrong and what to do next, in words. */
export function wordsOf(problem) {
  if (problem.__typename) return problem.message; // a refusal of the API's, in its own words
  const code = problem instanceof Problem ? problem.code : 'UNKNOWN';
  if (known(`problem.${code}`)) return t(`problem.${code}`);
  return problem.message && problem.message !== code ? problem.message : t('problem.UNKNOWN');
}

/**
 * Runs a page: `title` is a text's key, `load()` asks for its data, `draw(data)` returns what stands in
 * `main`. Returns { refresh, redraw }: to ask and draw anew, or to draw alone what was answered, both
 * keeping the focus where it has an id.
 */
export async function run({ title, load, draw }) {
  let data = null;
  const redraw = () => {
    document.title = `${t(title)} · Laurels`;
    drawBar(title, data !== null, changed);
    shown();
  };
  const changed = async (language) => {
    await speak(language, { keep: true });
    redraw();
    document.getElementById('language').focus();
  };
  const show = (made) => {
    shown = () => {
      const focused = document.activeElement?.id;
      main.replaceChildren(...[made()].flat());
      main.removeAttribute('aria-busy');
      if (focused) document.getElementById(focused)?.focus();
    };
    redraw();
  };
  const refresh = async () => {
    try {
      data = await load(ask);
      show(() => draw(data));
    } catch (problem) {
      if (!(problem instanceof Problem)) console.error(problem); // a fault of ours: nobody should miss it
      const out = problem.code === 'UNAUTHENTICATED';
      if (out) data = null;
      show(() => (out ? wayIn(refresh) : failed(problem, refresh)));
      if (out) main.querySelector('input').focus();
    }
  };
  await speak(chosen(config.language));
  await begin(refresh, show);
  addEventListener('hashchange', () => location.hash.startsWith('#token=') && followLink(refresh, show));
  return { refresh, redraw: () => shown() };
}

/**
 * Shows the page, or the way in. Nothing is asked of the API by whoever is nobody; but a browser that
 * comes by another site's link brought no cookie with the page, and has one all the same.
 */
async function begin(refresh, show) {
  if (location.hash.startsWith('#token=')) return followLink(refresh, show);
  if (config.cookie || (await current().catch(() => null))) return refresh();
  show(() => wayIn(refresh));
  main.querySelector('input').focus();
}

/** Signs in by the link that led here; somebody's session isn't taken from under their hands. */
async function followLink(refresh, show) {
  const token = takeToken();
  const trade = async () => {
    try {
      await signIn(token);
      await refresh();
    } catch (problem) {
      show(() => wayIn(refresh, problem));
    }
  };
  const before = await current().catch(() => null);
  if (!before) return trade();
  await refresh();
  show(() => question(trade, refresh));
  document.getElementById('stay').focus();
}

function drawBar(title, signedIn, changed) {
  skip.textContent = t('skip');
  const options = Object.entries(LANGUAGES).map(([code, name]) =>
    h('option', { value: code, lang: code, selected: code === spoken() }, name));
  bar.replaceChildren(...[
    h('a', { class: 'brand', href: location.pathname },
      h('img', { src: config.icon, alt: '', width: 28, height: 28 }), h('span', null, t(title))),
    h('label', { class: 'language' }, h('span', { class: 'unseen' }, t('language')),
      h('select', { id: 'language', onchange: ({ target }) => changed(target.value) }, options)),
    signedIn && h('button', { type: 'button', id: 'sign-out', class: 'quiet', onclick: leave }, t('signOut')),
  ].filter(Boolean));
}

async function leave() {
  try {
    await signOut();
    location.reload();
  } catch (problem) {
    announce(wordsOf(problem));
  }
}

function question(trade, refresh) {
  return h('section', { class: 'card narrow', 'aria-labelledby': 'question' },
    h('h1', { id: 'question' }, t('link.title')),
    h('p', null, t('link.text')),
    h('div', { class: 'buttons' },
      h('button', { type: 'button', id: 'stay', class: 'button', onclick: refresh }, t('link.stay')),
      h('button', { type: 'button', class: 'quiet', onclick: trade }, t('link.follow'))));
}

function failed(problem, refresh) {
  return h('section', { class: 'card narrow', role: 'alert' },
    h('h1', null, t('failed.title')),
    h('p', null, wordsOf(problem)),
    h('button', { type: 'button', class: 'button', onclick: refresh }, t('again')));
}
