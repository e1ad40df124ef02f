// Text whose parts between backticks are code.
export function Words({ text }) {
  return text.split('`').map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part));
}
