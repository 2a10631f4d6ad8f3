import { expect, it } from "vitest";
import { binarySplits, bytes, Series } from "../src/lib/series";

const row = (time: number, cpu: number, memory = 0, io = 0, throttled = 0, kills = 0): number[] => [time, cpu, memory, 1, io, 0, throttled, kills];

it("keeps groups that come and go on one axis", () => {
  const series = new Series();
  series.add(["a"], Float64Array.from(row(1, 10)), 8);
  series.add(["a", "b"], Float64Array.from([...row(2, 20), ...row(2, 5)]), 8);
  series.add(["b"], Float64Array.from(row(3, 6)), 8);
  expect(series.times).toEqual([1, 2, 3]);
  expect(series.values.get("a")!.cpu).toEqual([10, 20, null]);
  expect(series.values.get("b")!.cpu).toEqual([null, 5, 6]);
});

it("makes rates of counters, and marks of kills and throttling", () => {
  const series = new Series();
  series.add(["a"], Float64Array.from(row(1, 0, 0, 100)), 8);
  series.add(["a"], Float64Array.from(row(3, NaN, 0, 300, 5, 1)), 8);
  expect(series.values.get("a")!.io).toEqual([null, 100]);
  expect(series.values.get("a")!.cpu).toEqual([0, null]);
  expect(series.marks.map(({ what, time }) => [what, time])).toEqual([["oom", 3], ["throttled", 3]]);
});

it("loads the past of several groups, read within milliseconds of each other", () => {
  const series = new Series();
  series.load(["a", "b"], [Float64Array.from([...row(1, 1), ...row(1.1, 2)]), Float64Array.from(row(1.102, 9))], 8);
  expect(series.times).toHaveLength(2);
  expect(series.values.get("b")!.cpu).toEqual([null, 9]);
});

it("says sizes in binary", () => {
  expect([0, 1023, 1 << 20, 67_108_864, 1.5 * 2 ** 30].map(bytes)).toEqual(["0 B", "1023 B", "1 MiB", "64 MiB", "1.5 GiB"]);
  expect(binarySplits(0, 100 << 20, 5)).toEqual([0, 32, 64, 96].map((mib) => mib << 20));
});
