// By what a member may be known, guessed from one text: the words of one query that tries them all.

/** How many are asked for in one query: servers bound what one may ask. */
export const AT_ONCE = 8;

/** What a text may be, likeliest first: [{ by, partner? }]. A reference counts within a partner. */
export function candidates(text, partners = []) {
  const given = text.trim();
  if (!given || given.length > 320) return [];
  if (/^[^@\s]+@[^@\s]+\.[^@\s.]+$/.test(given)) return [{ by: { email: given } }];
  const found = [];
  if (isMemberId(given)) found.push({ by: { id: given } });
  found.push({ by: { card: given } });
  const digits = given.replace(/[\s().-]/g, '');
  if (/^\+?[0-9]{6,15}$/.test(digits)) found.push({ by: { phone: given } });
  for (const partner of partners) found.push({ by: { reference: given }, partner });
  return found;
}

/** One query that asks for all candidates: { query, variables }. Its answer's fields are c0, c1, … */
export function searchOf(found) {
  const declared = found.map((_, n) => `$b${n}: MemberBy!, $p${n}: String`).join(', ');
  const fields = found.map((_, n) => `c${n}: member(by: $b${n}, partner: $p${n}) { id }`).join('\n  ');
  const variables = Object.fromEntries(
    found.flatMap(({ by, partner = null }, n) => [[`b${n}`, by], [`p${n}`, partner]]),
  );
  return { query: `query Search(${declared}) {\n  ${fields}\n}`, variables };
}

/** The first candidate that an answer knows, or undefined. */
export const firstKnown = (found, data) => found.find((_, n) => data[`c${n}`]);

function isMemberId(text) {
  try {
    return atob(text).startsWith('Member:');
  } catch {
    return false;
  }
}
