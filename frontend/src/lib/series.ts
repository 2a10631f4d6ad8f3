// Samples as they come, kept by group and metric, ready to be drawn.

export const METRICS = ["cpu", "memory", "pids", "io"] as const;
export type Metric = (typeof METRICS)[number];

/** Seconds that are kept. */
export const KEPT = 600;

interface Last {
  time: number;
  io: number;
  throttled: number;
  kills: number;
}

export interface Mark {
  time: number;
  name: string;
  what: "oom" | "throttled";
}

/** All groups on one axis of time; null where a group has no sample. */
export class Series {
  times: number[] = [];
  readonly names: string[] = [];
  readonly values = new Map<string, Record<Metric, (number | null)[]>>();
  marks: Mark[] = [];
  private readonly last = new Map<string, Last>();

  clear(): void {
    this.times = [];
    this.names.length = 0;
    this.values.clear();
    this.last.clear();
    this.marks = [];
  }

  private group(name: string): Record<Metric, (number | null)[]> {
    let group = this.values.get(name);
    if (!group) {
      const blank = (): null[] => new Array<null>(this.times.length).fill(null);
      group = { cpu: blank(), memory: blank(), pids: blank(), io: blank() };
      this.values.set(name, group);
      this.names.push(name);
    }
    return group;
  }

  /** One pass: `rows` are `width` numbers a group: time, cpu, memory, pids, read, written, throttled, kills. */
  add(names: string[], rows: Float64Array, width: number): void {
    if (!names.length) return;
    const time = rows[0]!;
    if (this.times.length && time <= this.times[this.times.length - 1]!) return;
    for (const name of names) this.group(name);
    this.times.push(time);
    for (const [name, group] of this.values) {
      const at = names.indexOf(name);
      const row = at < 0 ? undefined : rows.subarray(at * width, (at + 1) * width);
      const [cpu, memory, pids, io] = row ? this.read(name, row) : [null, null, null, null];
      group.cpu.push(cpu!);
      group.memory.push(memory!);
      group.pids.push(pids!);
      group.io.push(io!);
    }
    this.forget(time - KEPT);
  }

  private read(name: string, row: Float64Array): (number | null)[] {
    const known = (value: number): number | null => (Number.isFinite(value) ? value : null);
    const [time, cpu, memory, pids, read, written, throttled, kills] = row as unknown as number[];
    const io = (known(read!) ?? 0) + (known(written!) ?? 0);
    const before = this.last.get(name);
    this.last.set(name, { time: time!, io, throttled: known(throttled!) ?? 0, kills: known(kills!) ?? 0 });
    let rate: number | null = null;
    if (before && time! > before.time) {
      rate = Math.max(0, (io - before.io) / (time! - before.time));
      if ((known(kills!) ?? 0) > before.kills) this.marks.push({ time: time!, name, what: "oom" });
      if ((known(throttled!) ?? 0) > before.throttled) this.marks.push({ time: time!, name, what: "throttled" });
    }
    return [known(cpu!), known(memory!), known(pids!), rate];
  }

  /** The past of every group at once: `histories[i]` are the rows of `names[i]`. Passes are told apart by time. */
  load(names: string[], histories: Float64Array[], width: number): void {
    this.clear();
    const passes = new Map<number, Map<string, Float64Array>>();
    names.forEach((name, index) => {
      const rows = histories[index]!;
      for (let at = 0; at + width <= rows.length; at += width) {
        // Groups are read one after the other, within a few milliseconds.
        const slot = Math.round(rows[at]! * 20);
        if (!passes.has(slot)) passes.set(slot, new Map());
        passes.get(slot)!.set(name, rows.subarray(at, at + width));
      }
    });
    for (const slot of [...passes.keys()].sort((a, b) => a - b)) {
      const pass = passes.get(slot)!;
      const flat = new Float64Array(pass.size * width);
      [...pass.values()].forEach((row, index) => flat.set(row, index * width));
      this.add([...pass.keys()], flat, width);
    }
    for (const name of names) this.group(name);
  }

  private forget(before: number): void {
    let gone = 0;
    while (gone < this.times.length && this.times[gone]! < before) gone += 1;
    if (gone < 64) return; // not at every pass
    this.times.splice(0, gone);
    for (const group of this.values.values()) for (const metric of METRICS) group[metric].splice(0, gone);
    this.marks = this.marks.filter((mark) => mark.time >= before);
  }
}

/** `64 MiB`, in binary units, shortly. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : Number(value.toPrecision(3))} ${units[unit]}`;
}

/** Ticks that are round in binary. */
export function binarySplits(low: number, high: number, wanted: number): number[] {
  const step = 2 ** Math.ceil(Math.log2(Math.max(1, (high - low) / wanted)));
  const splits: number[] = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) splits.push(at);
  return splits;
}
