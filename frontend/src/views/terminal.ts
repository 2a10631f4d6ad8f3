// A terminal in a cell: xterm.js on a real pty.

import { FitAddon } from "@xterm/addon-fit";
import { Terminal, type ITheme } from "@xterm/xterm";
import xterm from "@xterm/xterm/css/xterm.css";
import { h, root } from "../lib/dom";
import { Link, type Message } from "../lib/link";
import type { Cleanup, RenderProps } from "../lib/model";
import { follow, type Mode } from "../lib/theme";
import view from "../lib/view.css";
import own from "./terminal.css";

const THEMES: Record<Mode, ITheme> = {
  light: {
    background: "#ffffff", foreground: "#1c2430", cursor: "#0067b1", cursorAccent: "#ffffff", selectionBackground: "#b8d8f5",
    black: "#1c2430", red: "#b3261e", green: "#116b45", yellow: "#805300", blue: "#0b5cad", magenta: "#8a3ea8", cyan: "#00707f",
    white: "#5b6675", brightBlack: "#5b6675", brightRed: "#c8382e", brightGreen: "#167f54", brightYellow: "#8f5f00",
    brightBlue: "#0f6cca", brightMagenta: "#9c4bbd", brightCyan: "#007c8d", brightWhite: "#39424f",
  },
  dark: {
    background: "#12161c", foreground: "#e4e9f0", cursor: "#6cb6ff", cursorAccent: "#12161c", selectionBackground: "#2c4f73",
    black: "#5c6775", red: "#ff8178", green: "#56d39a", yellow: "#e3b341", blue: "#6cb6ff", magenta: "#dcbdfb", cyan: "#56c8d8",
    white: "#d0d7e0", brightBlack: "#8a95a3", brightRed: "#ffa198", brightGreen: "#7ee2b8", brightYellow: "#f2cc60",
    brightBlue: "#96d0ff", brightMagenta: "#eac8ff", brightCyan: "#8ce2ee", brightWhite: "#ffffff",
  },
};

export function render({ model, el }: RenderProps): Cleanup {
  const made = root(el, "terminal", view, xterm, own);
  const dot = h("span", { class: "nbc-dot good", "aria-hidden": true });
  const name = h("span", { class: "nbc-name" });
  const state = h("span", { class: "nbc-quiet", role: "status", "aria-live": "polite" });
  const hint = h("span", { class: "nbc-quiet" }, "Shift-Esc leaves the terminal");
  const screen = h("div", { class: "nbc-screen" });
  made.append(h("div", { class: "nbc-bar" }, dot, name, state, h("span", { class: "nbc-space" }), hint), screen);

  const terminal = new Terminal({
    cursorBlink: !window.matchMedia?.("(prefers-reduced-motion: reduce)").matches,
    fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    fontSize: 13,
    lineHeight: 1.15,
    minimumContrastRatio: 4.5,
    screenReaderMode: false,
    scrollback: 5000,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(screen);
  // For tests and screen readers: what the screen says.
  (made as any).terminal = terminal;

  let replayed = false;
  let over = false;
  const encoder = new TextEncoder();

  const finish = (code: number | null): void => {
    if (code === null || code === undefined) return;
    over = true;
    dot.className = `nbc-dot ${code === 0 ? "" : "bad"}`;
    state.textContent = `exited with ${code}`;
    terminal.options.cursorBlink = false;
    terminal.options.disableStdin = true;
    terminal.write("\x1b[?25l");
  };

  const hear = (message: Message, buffers: DataView[]): void => {
    const data = buffers[0];
    const bytes = data ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array();
    if (message.kind === "snapshot") {
      name.textContent = message.data.title;
      terminal.textarea?.setAttribute("aria-label", `Terminal: ${message.data.title}`);
      made.setAttribute("role", "group");
      made.setAttribute("data-lm-suppress-shortcuts", "true");
      made.setAttribute("aria-label", `Terminal: ${message.data.title}`);
    } else if (message.kind === "replay") {
      terminal.reset();
      replayed = true;
      // A program that queries the terminal must not be answered a second time.
      muted = true;
      terminal.write(bytes, () => {
        muted = false;
        drawn(bytes.length);
        resize(true);
        finish(message.code);
      });
    } else if (message.kind === "output" && replayed) {
      terminal.write(bytes, () => drawn(bytes.length));
    } else if (message.kind === "ended") {
      finish(message.code);
    }
  };
  const link = new Link(model, hear);
  let muted = false;
  const drawn = (bytes: number): void => link.send({ kind: "drawn", bytes });

  let rows = 0;
  let columns = 0;
  const resize = (always = false): void => {
    if (!made.isConnected || screen.clientHeight < 20 || screen.clientWidth < 40) return;
    fit.fit();
    if (over || (!always && rows === terminal.rows && columns === terminal.cols)) return;
    rows = terminal.rows;
    columns = terminal.cols;
    link.send({ kind: "size", rows, columns });
  };
  const observer = new ResizeObserver(() => resize());
  observer.observe(screen);

  const input = (data: Uint8Array): void => {
    if (!muted && !over) link.send({ kind: "input" }, [data.buffer as ArrayBuffer]);
  };
  terminal.onData((data) => input(encoder.encode(data)));
  terminal.onBinary((data) => input(Uint8Array.from(data, (letter) => letter.charCodeAt(0))));
  terminal.attachCustomKeyEventHandler((event) => {
    const key = event.key.toLowerCase();
    if (event.shiftKey && event.key === "Escape") {
      terminal.blur();
      made.closest<HTMLElement>(".jp-Cell")?.focus();
      return false;
    }
    // Copy what is selected; without a selection Ctrl-C is the program's.
    if (event.type === "keydown" && (event.ctrlKey || event.metaKey) && key === "c" && terminal.hasSelection()) {
      void navigator.clipboard?.writeText(terminal.getSelection());
      terminal.clearSelection();
      return false;
    }
    return true;
  });
  // JupyterLab's own keys (Shift-Enter, Esc, A, B, …) are the program's while it has the keyboard.
  const keep = (event: Event): void => event.stopPropagation();
  for (const kind of ["keydown", "keyup", "keypress", "wheel", "contextmenu", "paste"]) made.addEventListener(kind, keep);
  made.addEventListener("focusin", () => made.classList.add("nbc-focus"));
  made.addEventListener("focusout", () => made.classList.remove("nbc-focus"));
  const unfollow = follow((mode) => {
    made.dataset["mode"] = mode;
    made.style.setProperty("--nbc-term", THEMES[mode].background!);
    terminal.options.theme = THEMES[mode];
  });

  link.open();
  requestAnimationFrame(() => resize());
  return () => {
    observer.disconnect();
    unfollow();
    link.close();
    terminal.dispose();
  };
}
