import { afterEach, describe, expect, it, vi } from "vitest";
import { verdict, type LayerInfo, type Stack } from "../src/lib/layers";
import { render } from "../src/views/layers";

const layer = (name: string, kind: LayerInfo["kind"] = "image"): LayerInfo => ({ name, digest: "", kind, by: "RUN make", files: 2, removed: 1, size: "1MB", share: 0.5 });
const LAYERS = [layer("writable", "writable"), layer("0123456789ab"), layer("host", "host")];

describe("whose a path is", () => {
  it.each([
    [["seen", "hidden", ""], "/a comes from the writable layer. It covers what one layer below has there."],
    [["", "seen", ""], "/a comes from layer 0123456789ab."],
    [["", "", "seen"], "/a comes from this machine's root."],
    [["seen", "merged", "merged"], "/a is a directory of 3 layers, merged."],
    [["removed", "hidden", ""], "/a is not there: the writable layer removes it."],
    [["", "", ""], "/a is in no layer."],
  ])("%j", (said, sentence) => expect(verdict("/a", LAYERS, said, "")).toBe(sentence));

  it("is an error where it is no path, and nothing where nobody asks", () => {
    expect(verdict("a", LAYERS, [], "it must begin with /")).toBe("it must begin with /");
    expect(verdict("", LAYERS, [], "")).toBe("");
  });
});

function shown(stack: Stack) {
  let hear: (message: any, buffers: DataView[]) => void = () => undefined;
  const sent: any[] = [];
  const model = {
    get: () => stack,
    send: (content: any) => void sent.push(content),
    on: (name: string, callback: any) => void (name === "msg:custom" && (hear = callback)),
    off: () => undefined,
    widget_manager: { get_model: () => Promise.reject(new Error("none")) },
  };
  const el = document.createElement("div");
  document.body.append(el);
  Element.prototype.scrollIntoView = () => undefined;
  const end = render({ model, el }) as () => void;
  const say = (message: any): void => hear(message, []);
  say({ kind: "snapshot", data: stack });
  return { el, end, sent, say, of: (kind: string) => sent.filter((one) => one.kind === kind) };
}

afterEach(() => {
  document.body.replaceChildren();
  vi.useRealTimers();
});

describe("layers", () => {
  const stack: Stack = { title: "web", path: "", layers: LAYERS };

  it("asks for what is in a layer when it is unfolded, and no more when it is folded", () => {
    const { el, say, of } = shown(stack);
    const [first] = el.querySelectorAll("button");
    first!.click();
    expect(of("list")[0]).toMatchObject({ layer: 0 });
    say({ kind: "list", layer: 0, data: [["/a", "added", "1B"], ["/b", "removed", ""]], more: 3 });
    const options = [...el.querySelectorAll("[role=option]")];
    expect(options.map((one) => one.getAttribute("aria-label"))).toEqual(["/a, added, 1B", "/b, removed"]);
    expect(el.textContent).toContain("and 3 more");
    first!.click();
    expect(of("fold")[0]).toMatchObject({ layer: 0 });
    expect([...el.querySelectorAll("button")].map((one) => one.disabled)).toEqual([false, false, true]);
  });

  it("asks for a path once the reader has stopped typing", () => {
    vi.useFakeTimers();
    const { el, say, of } = shown(stack);
    const search = el.querySelector("input")!;
    for (const text of ["/", "/a"]) {
      search.value = text;
      search.dispatchEvent(new Event("input"));
    }
    vi.advanceTimersByTime(1000);
    expect(of("find").map((one) => one.path)).toEqual(["/a"]);
    say({ kind: "where", path: "/", said: ["seen", "", ""], error: "" });
    expect(el.querySelector("[role=status]")!.textContent).toBe(""); // an answer to what is asked no more
    say({ kind: "where", path: "/a", said: ["", "seen", "hidden"], error: "" });
    expect([...el.querySelectorAll<HTMLElement>(".nbc-slab")].map((one) => one.dataset["said"])).toEqual(["nothing", "seen", "hidden"]);
  });

  it("goes through the files by key", () => {
    const { el, say, of } = shown(stack);
    el.querySelector("button")!.click();
    say({ kind: "list", layer: 0, data: [["/a", "file", ""], ["/b", "file", ""]], more: 0 });
    const list = el.querySelector("[role=listbox]")!;
    for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "Enter"]) list.dispatchEvent(new KeyboardEvent("keydown", { key }));
    expect(of("find").at(-1).path).toBe("/b");
    expect(list.getAttribute("aria-activedescendant")).toBe(el.querySelectorAll("[role=option]")[1]!.id);
  });
});
