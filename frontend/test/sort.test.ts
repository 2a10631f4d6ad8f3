import { expect, it } from "vitest";
import { compare, size } from "../src/lib/sort";

it("knows what sizes, shares and ages are", () => {
  expect(size("64MiB / 1GiB")).toBe(64 * 2 ** 20);
  expect(size("1.24MB")).toBe(1.24e6);
  expect(size("12.5%")).toBe(12.5);
  expect(size("Up 5 minutes (healthy)")).toBe(300);
  expect(size("Less than a minute ago")!).toBeLessThan(size("About a minute ago")!);
  expect(size("busybox")).toBeNull();
  expect(size("7d46accc61da")).toBeNull();
});

it("sorts numbers by value, texts as read, what is empty last", () => {
  const sorted = (texts: string[], down = false): string[] => [...texts].sort((a, b) => compare(a, b, down));
  expect(sorted(["10kB", "9MB", "800B"])).toEqual(["800B", "10kB", "9MB"]);
  expect(sorted(["web10", "", "web9", "Db"])).toEqual(["Db", "web9", "web10", ""]);
  expect(sorted(["1", "", "3"], true)).toEqual(["3", "1", ""]);
});
