// Light or dark, as JupyterLab's theme, VS Code's or the reader's system has it; and what to do when that changes.

export type Mode = "light" | "dark";

/** What `data-jp-theme-light` and VS Code's `data-vscode-theme-kind` say, else the system. */
export function mode(doc: Document = document): Mode {
  const lab = doc.body.dataset["jpThemeLight"];
  if (lab === "true" || lab === "false") return lab === "true" ? "light" : "dark";
  const code = doc.body.dataset["vscodeThemeKind"];
  if (code) return code.includes("light") ? "light" : "dark";
  return window.matchMedia?.("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Call `apply` now and at every change; the function returned ends that. */
export function follow(apply: (mode: Mode) => void): () => void {
  let last: Mode | undefined;
  const look = (): void => {
    const now = mode();
    if (now !== last) apply((last = now));
  };
  look();
  const observer = new MutationObserver(look);
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind"] });
  const query = window.matchMedia?.("(prefers-color-scheme: dark)");
  query?.addEventListener("change", look);
  return () => {
    observer.disconnect();
    query?.removeEventListener("change", look);
  };
}

/** Whether the reader wants things to stand still. */
export function still(): boolean {
  return window.matchMedia?.("(prefers-reduced-motion: reduce)").matches ?? false;
}

/** Okabe and Ito's colours, which colour-blind readers tell apart, a little darker on light ground. */
export const PALETTE: Record<Mode, readonly string[]> = {
  light: ["#0072b2", "#c25400", "#007a5a", "#a8508a", "#8a6a00", "#2b7fb8", "#7a4f2a", "#555f6e"],
  dark: ["#5fb0e8", "#f0915a", "#4cc9a0", "#dd9ac4", "#e6c34a", "#8fcdf5", "#c79a73", "#a5adbb"],
};
