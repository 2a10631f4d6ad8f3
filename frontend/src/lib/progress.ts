// What the kernel says of a pull, a push, a load or a build, and the words for those who listen.

export type Mood = "waiting" | "running" | "done" | "known" | "failed" | "stopped";
export type State = "running" | "done" | "failed" | "interrupted";

export interface LayerRow {
  label: string;
  state: string;
  mood: Mood;
  part: number;
  detail: string;
}

export interface StepRow {
  label: string;
  title: string;
  state: string;
  mood: Mood;
  log: string[];
  cut: number;
}

export type Entry = { line: string } | LayerRow | StepRow;

export interface Snapshot {
  verb: string;
  name: string;
  state: State;
  summary: string;
  part: number | null;
  room: number;
  entries: Entry[];
}

/** A row's mark; its state says the same in words. */
export const MARKS: Record<Mood, string> = { waiting: "○", running: "", done: "✓", known: "✓", failed: "✕", stopped: "–" };
export const STATES: Record<State, string> = { running: "Running", done: "Done", failed: "Failed", interrupted: "Interrupted" };

/** `Downloading, 1.2MB of 2.4MB`. */
export function valueText(row: LayerRow): string {
  return [row.state, row.detail].filter(Boolean).join(", ");
}

/** What is said aloud when `now` comes after `before`: the beginning, a step that failed, the end. */
export function announced(before: Snapshot | undefined, now: Snapshot): string {
  const title = now.name ? `${now.verb} ${now.name}` : now.verb;
  const failed = (snapshot: Snapshot | undefined): StepRow | undefined =>
    snapshot?.entries.find((entry): entry is StepRow => "log" in entry && entry.mood === "failed");
  if (now.state !== "running" && before?.state !== now.state) {
    const step = failed(now);
    return `${title}: ${STATES[now.state].toLowerCase()}${step ? ` at ${step.title}` : ""}${now.summary ? `, ${now.summary}` : ""}`;
  }
  return before === undefined ? `${title}: ${STATES[now.state].toLowerCase()}` : "";
}
