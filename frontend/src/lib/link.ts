// A view's line to the kernel: says when it is shown and when no more, and answers for every message it was given.

import type { WidgetModel } from "./model";

export interface Message {
  kind: string;
  page?: string;
  data?: any;
  [key: string]: any;
}

export type Handler = (message: Message, buffers: DataView[]) => void;

let pages = 0;

export class Link {
  readonly page = `${Date.now().toString(36)}-${(pages += 1)}`;
  private readonly hear: (content: Message, buffers: DataView[]) => void;
  private ready = false;

  /** `handle` gets the first snapshot from the model itself, so that a view is drawn even while the kernel is busy. */
  constructor(
    private readonly model: WidgetModel,
    private readonly handle: Handler,
  ) {
    this.hear = (content, buffers) => this.receive(content, buffers ?? []);
  }

  /** The kernel gives a snapshot to the model itself where it could not be asked for one: while a cell computes. */
  private readonly given = (): void => this.handle({ kind: "snapshot", data: this.model.get("snapshot") }, []);

  open(): void {
    window.addEventListener("pagehide", this.leave);
    this.model.on("msg:custom", this.hear);
    this.model.on("change:snapshot", this.given);
    this.given();
    this.send({ kind: "open" });
  }

  private readonly leave = (): void => this.send({ kind: "close" });

  private receive(message: Message, buffers: DataView[]): void {
    const others = message.kind === "snapshot" && message.page && message.page !== this.page;
    this.send({ kind: "ack" });
    if (others) return;
    // What was under way when this view appeared is in the snapshot that it is about to get.
    if (!this.ready && message.kind !== "snapshot") return;
    this.ready = true;
    this.handle(message, buffers);
  }

  send(message: Message, buffers?: ArrayBuffer[]): void {
    try {
      this.model.send({ ...message, page: this.page }, undefined, buffers);
    } catch {
      // The kernel has gone; the view stays as it is.
    }
  }

  close(): void {
    window.removeEventListener("pagehide", this.leave);
    this.model.off("msg:custom", this.hear);
    this.model.off("change:snapshot", this.given);
    this.send({ kind: "close" });
  }
}
