// The order of a table's rows by one of its columns.

const UNITS: Record<string, number> = {
  b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40,
  "%": 1, µs: 1e-6, ms: 1e-3, s: 1,
};
const AGES: Record<string, number> = { second: 1, minute: 60, hour: 3600, day: 86400, week: 604800, month: 2592000, year: 31536000 };

/** What a cell is as a number: `64MiB`, `1.24MB / 3GB`, `12.3%`, `5 minutes ago`; null when it is none. */
export function size(text: string): number | null {
  const age = /^(?:up |exited \(\d+\) )?(less than an?|about an?|\d+) (second|minute|hour|day|week|month|year)s?\b/i.exec(text);
  if (age) return (Number.parseInt(age[1]!, 10) || (age[1]!.toLowerCase().startsWith("less") ? 0.5 : 1)) * AGES[age[2]!.toLowerCase()]!;
  const number = /^(-?\d+(?:\.\d+)?)\s*([a-zµ%]*)(?:\s|$)/i.exec(text);
  if (!number) return null;
  const unit = number[2]!.toLowerCase();
  if (unit && !(unit in UNITS)) return null;
  return Number(number[1]) * (UNITS[unit] ?? 1);
}

/** Numbers by what they say, texts as a reader would; what is empty comes last either way. */
export function compare(a: string, b: string, down: boolean): number {
  if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1);
  const [x, y] = [size(a), size(b)];
  const order = x !== null && y !== null ? x - y : a.localeCompare(b, undefined, { numeric: true, sensitivity: "base" });
  return down ? -order : order;
}
