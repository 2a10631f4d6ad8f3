// Layers as the kernel describes them, topmost first, and what they have to do with a path, in words.

export interface LayerInfo {
  name: string;
  digest: string;
  kind: "image" | "writable" | "host";
  by: string;
  files: number | null;
  removed: number;
  size: string;
  share: number;
}

export interface Stack {
  title: string;
  path: string;
  layers: LayerInfo[];
}

/** A path, what it is or what happened to it, and its size. */
export type Row = [path: string, kind: string, size: string];

/** What a layer has to do with a path, as a mark before the word. */
export const MARKS: Record<string, string> = { seen: "●", merged: "◐", hidden: "○", removed: "✕" };
/** What a row of a layer's contents is marked with: `docker diff`'s letters, or nothing for what is just there. */
export const LETTERS: Record<string, string> = { added: "A", changed: "C", removed: "D" };

const called = (layer: LayerInfo): string =>
  layer.kind === "writable" ? "the writable layer" : layer.kind === "host" ? "this machine's root" : `layer ${layer.name}`;

/** Whose `path` is: one sentence. */
export function verdict(path: string, layers: LayerInfo[], said: string[], error: string): string {
  if (error) return error;
  if (!path || !said.length) return "";
  const seen = said.indexOf("seen");
  if (seen >= 0) {
    const merged = said.filter((word) => word === "merged").length;
    if (merged) return `${path} is a directory of ${merged + 1} layers, merged.`;
    const hidden = said.filter((word) => word === "hidden").length;
    const covers = hidden ? ` It covers what ${hidden === 1 ? "one layer" : `${hidden} layers`} below ${hidden === 1 ? "has" : "have"} there.` : "";
    return `${path} comes from ${called(layers[seen]!)}.${covers}`;
  }
  const removed = said.indexOf("removed");
  if (removed >= 0) return `${path} is not there: ${called(layers[removed]!)} removes it.`;
  return `${path} is in no layer.`;
}
