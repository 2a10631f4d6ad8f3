// HTML that the kernel makes and makes anew; buttons say what was pressed.

import { h, root } from "../lib/dom";
import { Link, type Message } from "../lib/link";
import type { Cleanup, RenderProps } from "../lib/model";
import { follow } from "../lib/theme";
import view from "../lib/view.css";
import own from "./page.css";

export function render({ model, el }: RenderProps): Cleanup {
  const made = root(el, "page", view, own);
  const inside = h("div");
  const said = h("div", { class: "nbc-said", role: "status", "aria-live": "polite" });
  made.append(inside, said);
  let last = "";

  // By which column a table is sorted is chosen by radio buttons in its HTML.
  const inputs = (): HTMLInputElement[] => [...inside.querySelectorAll("input")];

  function show(html: string): void {
    if (html === last) return;
    last = html;
    // What the reader has chosen stays, and the focus.
    const active = (inside.getRootNode() as Document | ShadowRoot).activeElement;
    const focused = active instanceof HTMLElement && inside.contains(active) ? active.dataset["act"] : undefined;
    const chosen = inputs().map((input) => input.checked);
    const at = inputs().findIndex((input) => input === active);
    inside.innerHTML = html;
    if (inputs().length === chosen.length) {
      inputs().forEach((input, index) => (input.checked = chosen[index]!));
      inputs()[at]?.focus();
    }
    if (focused) inside.querySelector<HTMLElement>(`[data-act="${focused}"]`)?.focus();
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
    if ((event.target as Element).matches("button, input, a, summary")) event.stopPropagation();
  });
  const unfollow = follow((mode) => (made.dataset["mode"] = mode));
  link.open();
  return () => {
    unfollow();
    link.close();
  };
}
