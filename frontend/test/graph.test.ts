import { describe, expect, it } from "vitest";
import { MANY, matches, rate, seed, type GraphEdge, type GraphNode } from "../src/lib/graph";

const node = (id: string, kind = "container", facts: [string, string][] = []): GraphNode => ({ id, kind, label: id, note: "", state: "", facts });
const edge = (a: string, b: string): GraphEdge => ({ id: `${a}-${b}`, a, b, kind: "link", label: "", up: true, meter: "", facts: [] });

describe("where nodes begin", () => {
  const nodes = [node("lab", "lab"), node("docker0", "bridge"), ...["a", "b", "c"].map((name) => node(name)), node("alone")];
  const edges = [edge("lab", "docker0"), edge("docker0", "a"), edge("docker0", "b"), edge("docker0", "c")];

  it("is the same each time, and another for every node", () => {
    const places = seed(nodes, edges);
    expect(places.size).toBe(nodes.length);
    expect(new Set([...places.values()].map(({ x, y }) => `${x} ${y}`)).size).toBe(nodes.length);
    expect(seed(nodes, edges)).toEqual(places);
    expect(places.get("lab")).toEqual({ x: 0, y: 0 });
  });

  it("has room for five hundred", () => {
    const many = [node("lab", "lab"), node("br", "bridge"), ...Array.from({ length: 500 }, (_, at) => node(`n${at}`))];
    const links = [edge("lab", "br"), ...many.slice(2, 400).map(({ id }) => edge("br", id))];
    expect(many.length).toBeGreaterThan(MANY);
    const places = [...seed(many, links).values()];
    expect(places).toHaveLength(many.length);
    let least = Infinity;
    places.forEach((p, at) => places.slice(at + 1).forEach((q) => (least = Math.min(least, Math.hypot(p.x - q.x, p.y - q.y)))));
    expect(least).toBeGreaterThan(24);
  });
});

it("finds by all words in anything known", () => {
  const web = node("web", "container", [["Address", "172.17.0.2/16"]]);
  expect(matches(web, "")).toBe(true);
  expect(matches(web, "WEB 172.17")).toBe(true);
  expect(matches(web, "web 10.0")).toBe(false);
});

it("says rates shortly", () => {
  expect([0, 999, 1234, 56_000_000].map(rate)).toEqual(["0 B/s", "999 B/s", "1.2 kB/s", "56 MB/s"]);
});
