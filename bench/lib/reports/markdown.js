// @ts-check

/**
 * A Markdown table, padded so that it reads well in a terminal too.
 *
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 * @param {number} [texts] columns that are text, from the left; the others are figures
 */
export function markdownTable(head, rows, texts = 1) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0), 4));
  /** @param {string} cell @param {number} i */
  const padded = (cell, i) => (i < texts ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0));
  /** @param {readonly string[]} cells */
  const line = (cells) => `| ${cells.map(padded).join(' | ')} |`;
  const rule = widths.map((width, i) => (i < texts ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

/** @param {number} value a whole number with separators */
export function count(value) {
  return Math.round(value).toLocaleString('en-US');
}

/** @param {number} share 0 to 1 */
export function percent(share) {
  return Number.isNaN(share) ? '?' : `${Math.round(share * 100)} %`;
}

/**
 * @param {number} value
 * @param {number} digits
 */
export function fixed(value, digits) {
  return Number.isNaN(value) ? '?' : value.toFixed(digits);
}

/** @param {number} value with three digits that mean something */
export function significant(value) {
  if (Number.isNaN(value)) return '?';
  return value >= 100 ? count(value) : value.toPrecision(3);
}
