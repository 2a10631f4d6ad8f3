// Making elements.

type Attributes = Record<string, string | number | boolean | ((event: any) => void) | undefined>;

/** An element; `on…` attributes are listeners, `false` and undefined leave an attribute out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** The root of a view, with its style sheets, in the element that anywidget gives it. */
export function root(el: HTMLElement, name: string, ...sheets: string[]): HTMLDivElement {
  const style = h("style");
  style.textContent = sheets.join("\n");
  const made = h("div", { class: `nbc-view nbc-${name}` });
  el.replaceChildren(style, made);
  return made;
}
