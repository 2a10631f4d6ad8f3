// A pull, a push, a load or a build as it goes: a row a layer or a step. What is drawn is what the kernel says; a row
// keeps its place and its height, so that nothing jumps.

import { h, root } from "../lib/dom";
import { Link, type Message } from "../lib/link";
import type { Cleanup, RenderProps } from "../lib/model";
import { announced, MARKS, STATES, valueText, type Entry, type Snapshot } from "../lib/progress";
import { follow } from "../lib/theme";
import view from "../lib/view.css";
import own from "./progress.css";

let logs = 0;

/** A line of the view, which is told what it says now. */
interface Line {
  kind: string;
  element: HTMLElement;
  update(entry: Entry): void;
}

const put = (element: Element, text: string): void => {
  if (element.textContent !== text) element.textContent = text;
};
const name = (element: Element, attribute: string, value: string): void => {
  if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
};

function gauge(label: string): { element: HTMLElement; set(part: number, text: string): void } {
  const bar = h("i");
  const element = h("span", { class: "nbc-gauge", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 }, bar);
  return {
    element,
    set(part, text) {
      const percent = Math.floor(part * 100);
      name(element, "aria-valuenow", String(percent));
      name(element, "aria-valuetext", text || `${percent} %`);
      bar.style.transform = `scaleX(${part})`;
    },
  };
}

const kindOf = (entry: Entry): string => ("line" in entry ? "line" : "part" in entry ? "layer" : "step");

function said(): Line {
  const element = h("div", { class: "nbc-line" });
  return { kind: "line", element, update: (entry) => put(element, "line" in entry ? entry.line : "") };
}

function layer(label: string): Line {
  const mark = h("span", { class: "nbc-mark", "aria-hidden": true });
  const state = h("span", { class: "nbc-state" });
  const detail = h("span", { class: "nbc-bytes" });
  const bar = gauge(`Layer ${label}`);
  const element = h("div", { class: "nbc-row", role: "listitem" }, mark, h("span", { class: "nbc-code" }, label), state, bar.element, detail);
  return {
    kind: "layer",
    element,
    update(entry) {
      if (!("part" in entry)) return;
      name(element, "data-mood", entry.mood);
      put(mark, MARKS[entry.mood]);
      put(state, entry.state);
      put(detail, entry.detail);
      bar.set(entry.part, valueText(entry));
    },
  };
}

function step(label: string): Line {
  const id = `nbc-log-${(logs += 1)}`;
  const mark = h("span", { class: "nbc-mark", "aria-hidden": true });
  const title = h("span", { class: "nbc-code nbc-what" });
  const tail = h("span", { class: "nbc-code nbc-tail", "aria-hidden": true });
  const state = h("span", { class: "nbc-state" });
  const fold = h("button", { class: "nbc-fold", "aria-expanded": "false", "aria-controls": id }, mark, h("span", { class: "nbc-code" }, label), title, tail, state, h("span", { class: "nbc-arrow", "aria-hidden": true }));
  const log = h("pre", { id, class: "nbc-log", tabindex: 0, hidden: true, "aria-label": `What ${label} printed` });
  const element = h("div", { role: "listitem" }, fold, log);
  let last = -1;
  let touched = false;
  const open = (wanted: boolean): void => {
    name(fold, "aria-expanded", String(wanted));
    log.hidden = !wanted;
    if (wanted) log.scrollTop = log.scrollHeight;
  };
  fold.addEventListener("click", () => {
    touched = true;
    open(log.hidden);
  });
  return {
    kind: "step",
    element,
    update(entry) {
      if (!("log" in entry)) return;
      name(fold, "data-mood", entry.mood);
      put(mark, MARKS[entry.mood]);
      put(title, entry.title);
      title.title = entry.title;
      put(state, entry.state);
      fold.disabled = entry.log.length === 0;
      put(tail, entry.mood === "running" ? (entry.log.at(-1) ?? "") : "");
      if (entry.cut + entry.log.length !== last) {
        last = entry.cut + entry.log.length;
        const low = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
        put(log, (entry.cut ? `… ${entry.cut} lines before these\n` : "") + entry.log.join("\n"));
        if (low) log.scrollTop = log.scrollHeight;
      }
      // What went wrong is what the reader needs now.
      if (entry.mood === "failed" && !touched && log.hidden) open(true);
    },
  };
}

export function render({ model, el }: RenderProps): Cleanup {
  const made = root(el, "progress", view, own);
  made.setAttribute("role", "group");
  const dot = h("span", { class: "nbc-dot", "aria-hidden": true });
  const verb = h("span", { class: "nbc-name" });
  const what = h("span", { class: "nbc-code" });
  const summary = h("span", { class: "nbc-quiet nbc-sum" });
  const state = h("span", { class: "nbc-whole" });
  const whole = gauge("All of it");
  const list = h("div", { class: "nbc-list", role: "list" });
  const room = h("div", { "aria-hidden": true });
  const heard = h("div", { class: "nbc-hidden", role: "status", "aria-live": "polite" });
  made.append(
    h("div", { class: "nbc-bar" }, verb, what, h("span", { class: "nbc-space" }), summary, h("span", { class: "nbc-end" }, dot, state)),
    whole.element, list, room, heard,
  );
  let lines: Line[] = [];
  let before: Snapshot | undefined;

  function draw(now: Snapshot): void {
    const title = now.name ? `${now.verb} ${now.name}` : now.verb;
    name(made, "aria-label", title);
    name(made, "data-state", now.state);
    put(verb, now.verb);
    put(what, now.name);
    put(summary, now.summary);
    put(state, STATES[now.state]);
    dot.className = `nbc-dot ${now.state === "done" ? "good" : now.state === "running" ? "" : now.state === "failed" ? "bad" : "wait"}`;
    whole.element.hidden = now.part === null;
    if (now.part !== null) whole.set(now.part, now.summary);
    now.entries.forEach((entry, index) => {
      const kind = kindOf(entry);
      if (lines[index]?.kind !== kind) {
        const fresh = kind === "line" ? said() : kind === "layer" ? layer("label" in entry ? entry.label : "") : step("label" in entry ? entry.label : "");
        if (lines[index]) lines[index]!.element.replaceWith(fresh.element);
        else list.append(fresh.element);
        lines[index] = fresh;
      }
      lines[index]!.update(entry);
    });
    for (const gone of lines.splice(now.entries.length)) gone.element.remove();
    room.style.height = `${now.room * 22}px`;
    // A reader who listens hears how it begins and how it ends, and nothing of each byte between.
    const words = announced(before, now);
    if (words) put(heard, words);
    before = now;
  }

  let open = false;
  const link = new Link(model, (message: Message) => {
    if (message.kind !== "snapshot") return;
    draw(message.data as Snapshot);
    if (open) closeAtEnd();
  });
  /** Nothing comes after the end: the kernel need not know any more that this page looks. */
  function closeAtEnd(): void {
    if (before?.state !== "running") link.close();
  }
  made.addEventListener("keydown", (event) => event.stopPropagation());
  const unfollow = follow((mode) => (made.dataset["mode"] = mode));
  link.open();
  open = true;
  closeAtEnd();
  return () => {
    unfollow();
    link.close();
  };
}
