/** Whether a pattern matches, by trying each number of segments for each wildcard. */
export function matches(pattern: readonly string[], name: readonly string[]): boolean {
  if (pattern.length === 0) return name.length === 0;
  const [first, ...rest] = pattern;
  if (first === '#' || first === '**') {
    for (let skipped = 0; skipped <= name.length; skipped++) {
      if (matches(rest, name.slice(skipped))) return true;
    }
    return false;
  }
  return name.length > 0 && (first === '*' || first === name[0]) && matches(rest, name.slice(1));
}
