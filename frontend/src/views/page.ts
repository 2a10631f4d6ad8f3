// HTML that the kernel makes and makes anew: tables get headers that sort them, buttons say what was pressed.

import { h, root } from "../lib/dom";
import { Link, type Message } from "../lib/link";
import type { Cleanup, RenderProps } from "../lib/model";
import { compare } from "../lib/sort";
import { follow } from "../lib/theme";
import view from "../lib/view.css";
import own from "./page.css";

export function render({ model, el }: RenderProps): Cleanup {
  const made = root(el, "page", view, own);
  const inside = h("div");
  const said = h("div", { class: "nbc-said", role: "status", "aria-live": "polite" });
  made.append(inside, said);
  let by = -1;
  let down = false;
  let last = "";

  function show(html: string): void {
    if (html === last) return;
    last = html;
    // Where the reader is stays: the focus, and what was scrolled.
    const active = document.activeElement;
    const focused = active instanceof HTMLElement && inside.contains(active) ? active.dataset["act"] ?? active.dataset["column"] : undefined;
    inside.innerHTML = html;
    for (const table of inside.querySelectorAll<HTMLTableElement>("table.nbc-table:not(.nbc-matrix):not(.nbc-stack)")) sortable(table);
    if (focused) inside.querySelector<HTMLElement>(`[data-act="${focused}"], [data-column="${focused}"]`)?.focus();
  }

  function sortable(table: HTMLTableElement): void {
    const body = table.tBodies[0];
    const headers = [...(table.tHead?.rows[0]?.cells ?? [])];
    if (!body || body.rows.length < 2) return;
    const original = [...body.rows];
    const tree = original.some((row) => /[├└]/.test(row.textContent ?? ""));
    if (tree) return;
    const arrange = (): void => {
      headers.forEach((header, at) => header.setAttribute("aria-sort", at === by ? (down ? "descending" : "ascending") : "none"));
      const rows = [...original];
      const text = (row: HTMLTableRowElement): string => row.cells[by]?.textContent?.trim() ?? "";
      if (by >= 0) rows.sort((a, b) => compare(text(a), text(b), down));
      body.append(...rows);
    };
    headers.forEach((header, at) => {
      const button = h("button", { class: "nbc-sort", type: "button", "data-column": at, title: `Sort by ${header.textContent}` }, header.textContent ?? "");
      button.addEventListener("click", () => {
        // Up, down, and as it came.
        if (by !== at) [by, down] = [at, false];
        else if (!down) down = true;
        else by = -1;
        arrange();
      });
      header.replaceChildren(button);
    });
    if (by >= 0) arrange();
  }

  const link = new Link(model, (message: Message) => {
    if (message.kind === "snapshot") show(message.data.html);
    else if (message.kind === "html") show(message.data);
    else if (message.kind === "said") said.textContent = message.data;
  });
  inside.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-act]");
    if (button) link.send({ kind: "act", what: button.dataset["act"] });
  });
  made.addEventListener("keydown", (event) => {
    if ((event.target as Element).matches("button")) event.stopPropagation();
  });
  const unfollow = follow((mode) => (made.dataset["mode"] = mode));
  link.open();
  return () => {
    unfollow();
    link.close();
  };
}
