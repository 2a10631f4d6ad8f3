// The layers of an image or a container: slabs on each other, what is in each, whose a path is. The topmost follows what
// a running container writes.

import { h, root } from "../lib/dom";
import { LETTERS, MARKS, verdict, type LayerInfo, type Row, type Stack } from "../lib/layers";
import { Link, type Message } from "../lib/link";
import type { Cleanup, RenderProps } from "../lib/model";
import { follow } from "../lib/theme";
import view from "../lib/view.css";
import own from "./layers.css";

let panels = 0;
/** Milliseconds after the last key until a path is asked for. */
const SETTLED = 150;

const put = (element: Element, text: string): void => {
  if (element.textContent !== text) element.textContent = text;
};

interface Slab {
  element: HTMLElement;
  show(layer: LayerInfo): void;
  say(word: string, path: string): void;
  fill(rows: Row[], more: number): void;
  mark(path: string): void;
  unfolded(): boolean;
}

function slab(index: number, told: (message: Message) => void, find: (path: string) => void): Slab {
  const id = `nbc-files-${(panels += 1)}`;
  const name = h("span", { class: "nbc-code nbc-layer" });
  const by = h("span", { class: "nbc-code nbc-by" });
  const word = h("span", { class: "nbc-word" });
  const files = h("span", { class: "nbc-files" });
  const size = h("span", { class: "nbc-size" });
  const share = h("i", { "aria-hidden": true });
  const fold = h(
    "button",
    { class: "nbc-fold", "aria-expanded": "false", "aria-controls": id },
    h("span", { class: "nbc-arrow", "aria-hidden": true }), name, by, word, files, h("span", { class: "nbc-sizes" }, size, share),
  );
  const list = h("div", { id, class: "nbc-list", role: "listbox", tabindex: 0, hidden: true, "aria-label": "Files" });
  const element = h("div", { class: "nbc-slab", role: "listitem" }, fold, list);
  let shown = "";
  let at = -1;

  const rows = (): HTMLElement[] => [...list.querySelectorAll<HTMLElement>("[role=option]")];
  function go(to: number): void {
    const all = rows();
    if (!all.length) return;
    at = Math.max(0, Math.min(all.length - 1, to));
    all.forEach((row, place) => row.classList.toggle("at", place === at));
    list.setAttribute("aria-activedescendant", all[at]!.id);
    all[at]!.scrollIntoView({ block: "nearest" });
  }
  fold.addEventListener("click", () => {
    const open = list.hidden;
    list.hidden = !open;
    fold.setAttribute("aria-expanded", String(open));
    if (open && !shown) list.replaceChildren(h("div", { class: "nbc-quiet" }, "…"));
    told({ kind: open ? "list" : "fold", layer: index });
  });
  list.addEventListener("click", (event) => {
    const all = rows();
    const place = all.indexOf((event.target as Element).closest<HTMLElement>("[role=option]")!);
    if (place < 0) return;
    go(place);
    find(all[place]!.dataset["path"]!);
  });
  list.addEventListener("keydown", (event) => {
    const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows().length - 1, PageDown: at + 10, PageUp: at - 10 };
    if (event.key in steps) go(steps[event.key]!);
    else if (event.key === "Enter" && at >= 0) find(rows()[at]!.dataset["path"]!);
    else return;
    event.preventDefault();
  });

  return {
    element,
    show(layer) {
      element.dataset["kind"] = layer.kind;
      put(name, layer.name);
      name.title = layer.digest;
      put(by, layer.by);
      by.title = layer.by;
      const counted = layer.files === null ? "" : `${layer.files} ${layer.files === 1 ? "file" : "files"}`;
      put(files, counted + (layer.removed ? `, ${layer.removed} removed` : ""));
      put(size, layer.size);
      share.style.transform = `scaleX(${layer.share})`;
      fold.disabled = layer.kind === "host";
    },
    say(what, path) {
      put(word, what ? `${MARKS[what]} ${what}` : "");
      word.title = what ? path : "";
      element.dataset["said"] = path ? what || "nothing" : "";
    },
    fill(found, more) {
      const now = JSON.stringify([found, more]);
      if (now === shown) return;
      shown = now;
      const top = list.scrollTop;
      list.replaceChildren(
        ...found.map(([path, kind, bytes], place) => {
          const letter = LETTERS[kind] ?? "";
          const said = kind === "file" || kind === "directory" ? "" : kind;
          return h(
            "div",
            { role: "option", id: `${id}-${place}`, class: `nbc-file ${kind}`, "data-path": path, "aria-label": [path, said, bytes].filter(Boolean).join(", ") },
            h("b", {}, letter), h("span", { class: "nbc-code" }, kind === "directory" ? `${path}/` : path),
            h("span", { class: "nbc-quiet" }, kind === "link" ? "link" : kind === "removed" || kind === "directory" ? "" : bytes),
          );
        }),
        ...(more ? [h("div", { class: "nbc-quiet" }, `and ${more} more`)] : []),
        ...(found.length ? [] : [h("div", { class: "nbc-quiet" }, "Nothing.")]),
      );
      list.scrollTop = top;
      if (at >= 0) go(at);
    },
    mark(path) {
      for (const row of rows()) row.setAttribute("aria-selected", String(row.dataset["path"] === path));
    },
    unfolded: () => !list.hidden,
  };
}

export function render({ model, el }: RenderProps): Cleanup {
  const made = root(el, "layers", view, own);
  made.setAttribute("role", "group");
  const title = h("span", { class: "nbc-code" });
  const search = h("input", { type: "search", placeholder: "/a/path: which layer?", "aria-label": "Path, to find its layer", spellcheck: "false", autocomplete: "off" });
  const answer = h("div", { class: "nbc-answer", role: "status", "aria-live": "polite" });
  const stack = h("div", { class: "nbc-stack", role: "list" });
  made.append(
    h("div", { class: "nbc-bar" }, h("span", { class: "nbc-name" }, "Layers"), title, h("span", { class: "nbc-space" }), search),
    answer, stack,
  );
  let slabs: Slab[] = [];
  let layers: LayerInfo[] = [];
  let waiting = 0;

  const told = (message: Message): void => link.send(message);
  const path = (): string => search.value.trim();
  function ask(): void {
    window.clearTimeout(waiting);
    if (!path()) {
      slabs.forEach((one) => one.say("", ""));
      put(answer, "");
    }
    told({ kind: "find", path: path() });
  }
  function find(wanted: string): void {
    search.value = wanted;
    slabs.forEach((one) => one.mark(wanted));
    ask();
  }

  function draw(now: Stack): void {
    put(title, now.title);
    made.setAttribute("aria-label", `Layers of ${now.title}`);
    layers = now.layers;
    if (slabs.length !== layers.length) {
      slabs = layers.map((_, index) => slab(index, told, find));
      stack.replaceChildren(...slabs.map((one) => one.element));
    }
    layers.forEach((layer, index) => slabs[index]!.show(layer));
  }
  function say(said: string[], asked: string, error: string): void {
    if (asked !== path()) return;
    slabs.forEach((one, index) => one.say(said[index] ?? "", asked));
    put(answer, verdict(asked, layers, said, error));
    answer.classList.toggle("bad", Boolean(error));
  }

  search.addEventListener("input", () => {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(ask, SETTLED);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") ask();
    else if (event.key === "Escape") find("");
  });
  made.addEventListener("keydown", (event) => event.stopPropagation());

  let begun = false;
  const link = new Link(model, (message: Message) => {
    if (message.kind === "snapshot") {
      if (!begun) search.value = (message.data as Stack).path;
      begun = true;
      draw(message.data as Stack);
      // A page that comes again has everything folded; one that only lost some messages has not.
      slabs.forEach((one, index) => one.unfolded() && told({ kind: "list", layer: index }));
    } else if (message.kind === "layers") draw(message.data as Stack);
    else if (message.kind === "list") slabs[message["layer"]]?.fill(message.data as Row[], message["more"]);
    else if (message.kind === "where") say(message["said"], message["path"], message["error"]);
  });
  const unfollow = follow((mode) => (made.dataset["mode"] = mode));
  link.open();
  return () => {
    window.clearTimeout(waiting);
    unfollow();
    link.close();
  };
}
