// A token on its way in: where it comes from and what may pass as one. It lives in the page's memory for
// as long as it takes to trade it for a session, and nowhere else: not in localStorage, not in
// sessionStorage, not in the address bar.

/** The token in the address's fragment (`#token=…`), which is removed at once; '' without one. */
export function takeToken() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (!fragment.has('token')) return '';
  history.replaceState(null, '', location.pathname + location.search);
  return cleanToken(fragment.get('token'));
}

/** What a person pasted, as a token; '' when it can't be one (a header takes visible ASCII only). */
export function cleanToken(pasted) {
  const token = pasted.trim().replace(/^(authorization:\s*)?bearer\s+/i, '');
  return /^[\x21-\x7e]+$/.test(token) ? token : '';
}
