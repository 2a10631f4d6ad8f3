// The lab's graph in a page: what arrives, what is found in it, and where new nodes begin.

export interface GraphNode {
  id: string;
  kind: string;
  label: string;
  note: string;
  state: string;
  facts: [string, string][];
}

export interface GraphEdge {
  id: string;
  a: string;
  b: string;
  kind: string;
  label: string;
  up: boolean;
  meter: string;
  facts: [string, string][];
}

export interface Patch {
  put: ({ node: GraphNode } | { edge: GraphEdge })[];
  drop: string[];
}

/** Whether what is typed is in anything known of a node: its name, kind, addresses, … */
export function matches(node: GraphNode, typed: string): boolean {
  const wanted = typed.trim().toLowerCase();
  if (!wanted) return true;
  const known = [node.label, node.kind, node.note, node.state, ...node.facts.flat()].join("\n").toLowerCase();
  return wanted.split(/\s+/).every((word) => known.includes(word));
}

/** With more nodes than this, places follow from the tree alone: forces would take seconds, and tell no more. */
export const MANY = 60;

/** Leaves like a sunflower's seeds around what they hang on, and those flowers in a circle around the first. */
function suns(order: string[], near: Map<string, string[]>, level: Map<string, number>): Map<string, { x: number; y: number }> {
  const places = new Map<string, { x: number; y: number }>();
  const flower = (names: string[], x: number, y: number): number => {
    let radius = 0;
    names.forEach((name, index) => {
      radius = 70 + 46 * Math.sqrt(index);
      const angle = index * 2.399963;
      places.set(name, { x: Math.round(x + radius * Math.cos(angle)), y: Math.round(y + radius * Math.sin(angle)) });
    });
    return radius;
  };
  const below = (name: string): string[] => (near.get(name) ?? []).filter((other) => level.get(other)! > level.get(name)! && !places.has(other));
  const [first, ...rest] = order;
  if (first === undefined) return places;
  places.set(first, { x: 0, y: 0 });
  const hubs = rest.filter((name) => below(name).length > 0);
  const inner = flower(rest.filter((name) => !hubs.includes(name) && below(first).includes(name)), 0, 0);
  const sizes = hubs.map((hub) => 120 + 46 * Math.sqrt(below(hub).length));
  const around = sizes.reduce((sum, size) => sum + 2 * size, 0);
  const radius = Math.max(inner + Math.max(0, ...sizes), around / (2 * Math.PI));
  let turn = -Math.PI / 2;
  hubs.forEach((hub, index) => {
    const part = (2 * Math.PI * 2 * sizes[index]!) / around;
    const [x, y] = [radius * Math.cos(turn + part / 2), radius * Math.sin(turn + part / 2)];
    places.set(hub, { x: Math.round(x), y: Math.round(y) });
    turn += part;
  });
  for (const hub of hubs) flower(below(hub), places.get(hub)!.x, places.get(hub)!.y);
  const others = order.filter((name) => !places.has(name));
  flower(others, 0, (hubs.length ? 2 * radius : inner) + 190 + 46 * Math.sqrt(others.length));
  return places;
}

/** Where nodes begin before they are laid out: the lab in the middle, what is nearer to it on inner rings. The same
 * graph always begins the same, so it always looks the same. */
export function seed(nodes: GraphNode[], edges: GraphEdge[]): Map<string, { x: number; y: number }> {
  const near = new Map<string, string[]>(nodes.map((node) => [node.id, []]));
  for (const edge of edges) {
    near.get(edge.a)?.push(edge.b);
    near.get(edge.b)?.push(edge.a);
  }
  const level = new Map<string, number>();
  const order: string[] = [];
  for (const start of nodes) {
    if (level.has(start.id)) continue;
    level.set(start.id, start.kind === "lab" ? 0 : 1);
    const waiting = [start.id];
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      order.push(name);
      for (const other of near.get(name) ?? []) {
        if (level.has(other)) continue;
        level.set(other, level.get(name)! + 1);
        waiting.push(other);
      }
    }
  }
  if (nodes.length > MANY) return suns(order, near, level);
  return rays(order, near);
}

/** A tree around its root: each branch has a sector as wide as it has leaves, so that no lines cross. */
function rays(order: string[], near: Map<string, string[]>): Map<string, { x: number; y: number }> {
  const below = new Map<string, string[]>();
  const roots: string[] = [];
  const seen = new Set<string>();
  for (const start of order) {
    if (seen.has(start)) continue;
    roots.push(start);
    seen.add(start);
    const waiting = [start];
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const fresh = (near.get(name) ?? []).filter((other) => !seen.has(other));
      const once = [...new Set(fresh)];
      once.forEach((other) => seen.add(other));
      below.set(name, once);
      waiting.push(...once);
    }
  }
  const leaves = (name: string): number => below.get(name)!.reduce((sum, child) => sum + leaves(child), 0) || 1;
  const places = new Map<string, { x: number; y: number }>();
  let left = 0;
  for (const root of roots) {
    const step = Math.max(120, (leaves(root) * 62) / (2 * Math.PI));
    const part = new Map<string, { x: number; y: number }>();
    const place = (name: string, depth: number, start: number, width: number): void => {
      const angle = start + width / 2;
      part.set(name, { x: depth * step * Math.cos(angle), y: depth * step * Math.sin(angle) });
      const all = leaves(name);
      for (const child of below.get(name)!) {
        const share = (width * leaves(child)) / all;
        place(child, depth + 1, start, share);
        start += share;
      }
    };
    place(root, 0, -Math.PI / 2, 2 * Math.PI);
    const xs = [...part.values()].map(({ x }) => x);
    const shift = roots[0] === root ? 0 : left + 130 - Math.min(...xs);
    for (const [name, { x, y }] of part) places.set(name, { x: Math.round(x + shift), y: Math.round(y) });
    left = Math.max(left, Math.max(...xs) + shift);
  }
  return places;
}

/** `1.2 kB/s`. */
export function rate(bytes: number): string {
  const units = ["B/s", "kB/s", "MB/s", "GB/s"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${bytes >= 100 || unit === 0 ? Math.round(bytes) : bytes.toPrecision(2)} ${units[unit]}`;
}
