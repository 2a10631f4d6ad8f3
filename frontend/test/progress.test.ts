import { afterEach, describe, expect, it } from "vitest";
import { announced, valueText, type Entry, type Snapshot } from "../src/lib/progress";
import { render } from "../src/views/progress";

const snapshot = (entries: Entry[], more: Partial<Snapshot> = {}): Snapshot => ({
  verb: "Pull", name: "x:1", state: "running", summary: "", part: 0, room: 0, entries, ...more,
});
const layer = (label: string, state: string, part: number, mood: "running" | "done" = "running"): Entry => ({ label, state, mood, part, detail: "1MB of 4MB" });
const step = (mood: "running" | "done" | "failed", ...log: string[]): Entry => ({ label: "#1", title: "[1/2] RUN make", state: mood === "done" ? "DONE" : "", mood, log, cut: 0 });

/** A model as anywidget gives it: `give` is the kernel's new snapshot. */
function shown(first: Snapshot) {
  let now = first;
  const listeners = new Map<string, () => void>();
  const sent: any[] = [];
  const model = {
    get: () => now,
    send: (content: unknown) => void sent.push(content),
    on: (name: string, callback: any) => void listeners.set(name, callback),
    off: (name: string | null) => void listeners.delete(name!),
    widget_manager: { get_model: () => Promise.reject(new Error("none")) },
  };
  const el = document.createElement("div");
  document.body.append(el);
  const end = render({ model, el }) as () => void;
  return { el, end, sent, listeners, give: (next: Snapshot) => ((now = next), listeners.get("change:snapshot")!()) };
}

afterEach(() => document.body.replaceChildren());

describe("what is said aloud", () => {
  it("is the beginning and the end, and nothing between", () => {
    const first = snapshot([]);
    expect(announced(undefined, first)).toBe("Pull x:1: running");
    expect(announced(first, snapshot([layer("a", "Downloading", 0.5)]))).toBe("");
    expect(announced(first, snapshot([], { state: "done", summary: "2 of 2 layers" }))).toBe("Pull x:1: done, 2 of 2 layers");
    expect(announced(first, snapshot([step("failed")], { state: "failed" }))).toBe("Pull x:1: failed at [1/2] RUN make");
  });

  it("and what a bar stands at is in words", () => {
    expect(valueText(layer("a", "Downloading", 0.25) as any)).toBe("Downloading, 1MB of 4MB");
  });
});

describe("progress", () => {
  it("keeps the element of a row while it changes", () => {
    const { el, give } = shown(snapshot([{ line: "1: Pulling from x" }, layer("a", "Downloading", 0.25)]));
    const row = el.querySelector(".nbc-row")!;
    const bar = row.querySelector("[role=progressbar]")!;
    expect(bar.getAttribute("aria-valuenow")).toBe("25");
    give(snapshot([{ line: "1: Pulling from x" }, layer("a", "Pull complete", 1, "done")], { state: "done", part: 1 }));
    expect(el.querySelector(".nbc-row")).toBe(row);
    expect(bar.getAttribute("aria-valuenow")).toBe("100");
    expect(row.textContent).toContain("Pull complete");
    expect(el.querySelector(".nbc-whole")!.textContent).toBe("Done");
    expect(el.querySelector("[role=status]")!.textContent).toContain("done");
  });

  it("folds what a step prints, and shows what failed", () => {
    const { el, give } = shown(snapshot([step("running", "one", "two")], { verb: "Build", part: null }));
    const [button, log] = [el.querySelector("button")!, el.querySelector("pre")!];
    expect(el.querySelector(".nbc-tail")!.textContent).toBe("two");
    expect(log.hidden).toBe(true);
    button.click();
    expect([log.hidden, button.getAttribute("aria-expanded")]).toEqual([false, "true"]);
    button.click();
    give(snapshot([step("failed", "one", "two", "no")], { verb: "Build", part: null, state: "failed" }));
    expect(log.hidden).toBe(true); // the reader has folded it
    const other = shown(snapshot([step("failed", "no")], { verb: "Build", part: null, state: "failed" }));
    expect(other.el.querySelector("pre")!.hidden).toBe(false);
  });

  it("keeps room below for what is still to come", () => {
    const { el, give } = shown(snapshot([], { room: 2 }));
    const room = el.querySelector<HTMLElement>(".nbc-list + div")!;
    expect(room.style.height).toBe("44px");
    give(snapshot([{ line: "Digest" }, { line: "Status" }]));
    expect(room.style.height).toBe("0px");
  });

  it("does not look any more once it is over", () => {
    const { sent, give } = shown(snapshot([]));
    expect(sent.map((one) => one.kind)).toEqual(["open"]);
    give(snapshot([], { state: "done" }));
    expect(sent.map((one) => one.kind)).toEqual(["open", "close"]);
    const later = shown(snapshot([], { state: "done" }));
    expect(later.sent.at(-1).kind).toBe("close");
    expect(later.listeners.size).toBe(0);
  });

  it("leaves nothing behind when it is closed", () => {
    const { end, listeners, sent } = shown(snapshot([]));
    end();
    expect(listeners.size).toBe(0);
    expect(sent.at(-1).kind).toBe("close");
  });
});
