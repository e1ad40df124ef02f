// Elements in a line each. Texts become text nodes: nothing here, or anywhere in these pages, parses HTML.
const SVG = 'http://www.w3.org/2000/svg';

/** An element with attributes and children; `on…` are listeners, null and false leave an attribute out. */
export function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same of SVG. */
export function s(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

let last = 0;

/** An id that nothing on the page has yet. */
export const newId = (beginning) => `${beginning}-${(last += 1)}`;
