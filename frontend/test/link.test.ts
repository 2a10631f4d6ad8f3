import { describe, expect, it } from "vitest";
import { Link, type Message } from "../src/lib/link";

function model(snapshot: unknown) {
  const sent: any[] = [];
  const listeners = new Map<string, (content: Message, buffers: DataView[]) => void>();
  let now = snapshot;
  return {
    sent,
    say: (message: Message) => listeners.get("msg:custom")?.(message, []),
    give: (next: unknown) => ((now = next), listeners.get("change:snapshot")?.({ kind: "" }, [])),
    listeners,
    get: () => now,
    send: (content: unknown) => void sent.push(content),
    on: (name: string, callback: any) => void listeners.set(name, callback),
    off: (name: string | null) => void listeners.delete(name!),
    widget_manager: { get_model: () => Promise.reject(new Error("none")) },
  };
}

describe("a view's line to the kernel", () => {
  it("is drawn from the model at once, and says that it looks", () => {
    const there = model({ a: 1 });
    const heard: Message[] = [];
    const link = new Link(there, (message) => heard.push(message));
    link.open();
    expect(heard).toEqual([{ kind: "snapshot", data: { a: 1 } }]);
    expect(there.sent).toEqual([{ kind: "open", page: link.page }]);
  });

  it("answers for every message, and leaves out what came before its own snapshot", () => {
    const there = model({});
    const heard: Message[] = [];
    const link = new Link(there, (message) => heard.push(message));
    link.open();
    there.say({ kind: "patch" });
    there.say({ kind: "snapshot", page: "another", data: {} });
    there.say({ kind: "snapshot", page: link.page, data: { b: 2 } });
    there.say({ kind: "patch", data: 3 });
    expect(heard.map((message) => message.kind)).toEqual(["snapshot", "snapshot", "patch"]);
    expect(there.sent.filter((message) => message.kind === "ack")).toHaveLength(4);
  });

  it("takes what the kernel gives to the model without being asked", () => {
    const there = model({ a: 1 });
    const heard: Message[] = [];
    new Link(there, (message) => heard.push(message)).open();
    there.give({ a: 2 });
    expect(heard.map((message) => message.data)).toEqual([{ a: 1 }, { a: 2 }]);
  });

  it("leaves nothing behind when it is closed", () => {
    const there = model({});
    const link = new Link(there, () => undefined);
    link.open();
    link.close();
    expect(there.listeners.size).toBe(0);
    expect(there.sent.at(-1)).toEqual({ kind: "close", page: link.page });
  });
});
