/** How numbers are told to people. */

export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 2 });

/** For an axis: 1.5M */
export function short(value: number): string {
  return SHORT.format(value);
}

/** Three digits are what a histogram keeps. */
export function milliseconds(value: number): string {
  return `${Number(value.toPrecision(3))} ms`;
}

/** For an axis: 10 s instead of 10000 ms */
export function shortMilliseconds(value: number): string {
  return value >= 1000 ? `${Number((value / 1000).toPrecision(3))} s` : milliseconds(value);
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** In steps of 1000. */
export function bytes(value: number): string {
  let rest = Math.abs(value);
  let unit = 0;
  while (rest >= 999.5 && unit < UNITS.length - 1) {
    rest /= 1000;
    unit++;
  }
  return `${Number((Math.sign(value) * rest).toPrecision(3))} ${UNITS[unit]}`;
}

/** What a scenario counts. */
export function countedBy(scenario: string): string {
  if (scenario === 'connect') return 'handshakes';
  return scenario === 'broadcast' || scenario === 'stomp' ? 'deliveries' : 'messages';
}

export function capitalized(noun: string): string {
  return `${noun[0]!.toUpperCase()}${noun.slice(1)}`;
}
