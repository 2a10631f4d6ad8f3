// Usage as it happens: four charts by uPlot, limits as lines, marks where a group was throttled or a process killed.

import uPlot from "uplot";
import plot from "uplot/dist/uPlot.min.css";
import { h, root } from "../lib/dom";
import { Link, type Message } from "../lib/link";
import type { Cleanup, RenderProps } from "../lib/model";
import { binarySplits, bytes, METRICS, Series, type Metric } from "../lib/series";
import { follow, PALETTE, still, type Mode } from "../lib/theme";
import view from "../lib/view.css";
import own from "./usage.css";

const percent = (value: number): string => `${Number(value.toPrecision(3))} %`;
const TITLES: Record<Metric, { title: string; say: (value: number) => string; least: number }> = {
  cpu: { title: "CPU", say: percent, least: 10 },
  memory: { title: "Memory", say: bytes, least: 1 << 20 },
  pids: { title: "Processes", say: (value) => String(Math.round(value)), least: 5 },
  io: { title: "Disk", say: (value) => `${bytes(value)}/s`, least: 1024 },
};
/** Milliseconds between two pictures for who wants things to stand still. */
const CALM = 1000;
const RANGES = [15, 60, 300, 600];
const DASHES = [[], [7, 3], [2, 3], [10, 3, 2, 3]];

export function render({ model, el }: RenderProps): Cleanup {
  const made = root(el, "usage", view, plot, own);
  made.setAttribute("role", "group");
  const title = h("span", { class: "nbc-name" });
  const groups = h("div", { class: "nbc-groups", role: "group", "aria-label": "Groups that are shown" });
  const pause = h("button", { "aria-pressed": "false", title: "Hold the picture; samples go on" }, "Pause");
  const range = h("select", { "aria-label": "Range of time" });
  for (const seconds of RANGES) {
    const said = seconds < 60 ? `${seconds} s` : `${seconds / 60} min`;
    range.append(h("option", { value: seconds, selected: seconds === 60 }, said));
  }
  const grid = h("div", { class: "nbc-grid" });
  const none = h("p", { class: "nbc-none", hidden: true }, "Nothing runs. What is started will appear here.");
  const marks = h(
    "div",
    { class: "nbc-marks", "aria-hidden": true },
    h("span", {}, h("i", { class: "limit" }), "limit"),
    h("span", {}, h("i", { class: "throttled" }), "throttled"),
    h("span", {}, h("i", { class: "oom" }), "out of memory"),
  );
  made.append(h("div", { class: "nbc-bar" }, title, groups, h("span", { class: "nbc-space" }), range, pause), grid, none, marks);

  const series = new Series();
  let width = 8;
  let limits: Record<string, Partial<Record<Metric, number>>> = {};
  const off = new Set<string>();
  let mode: Mode = "light";
  let paused = false;
  let held: { min: number; max: number } | undefined;
  let charts: { metric: Metric; chart: uPlot; now: HTMLElement; box: HTMLElement }[] = [];
  let shown = "";
  let frame = 0;
  let calm: ReturnType<typeof setTimeout> | undefined;
  let drawnAt = -Infinity;

  const shownNames = (): string[] => series.names.filter((name) => !off.has(name));
  const colour = (name: string): string => PALETTE[mode][series.names.indexOf(name) % PALETTE[mode].length]!;
  const ink = (name: string): string => getComputedStyle(made).getPropertyValue(name).trim();

  function drawOver(metric: Metric, chart: uPlot): void {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const ratio = devicePixelRatio || 1;
    for (const name of shownNames()) {
      const limit = limits[name]?.[metric];
      if (limit === undefined) continue;
      const y = Math.round(chart.valToPos(limit, "y", true));
      ctx.strokeStyle = colour(name);
      ctx.globalAlpha = 0.8;
      ctx.lineWidth = 1.4 * ratio;
      ctx.setLineDash([6 * ratio, 5 * ratio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
    const low = chart.scales["x"]!.min ?? 0;
    for (const mark of series.marks) {
      if (mark.time < low || off.has(mark.name)) continue;
      const x = Math.round(chart.valToPos(mark.time, "x", true));
      if (mark.what === "oom" && (metric === "memory" || metric === "pids")) {
        ctx.strokeStyle = ink("--nbc-bad");
        ctx.lineWidth = 2 * ratio;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      } else if (mark.what === "throttled" && metric === "cpu") {
        ctx.fillStyle = ink("--nbc-wait");
        ctx.fillRect(x - 2 * ratio, bbox.top + bbox.height - 4 * ratio, 4 * ratio, 4 * ratio);
      }
    }
    ctx.restore();
  }

  function highest(metric: Metric, low: number): number {
    let top = TITLES[metric].least;
    for (const name of shownNames()) {
      const values = series.values.get(name)![metric];
      for (let at = series.times.length - 1; at >= 0 && series.times[at]! >= low; at -= 1) top = Math.max(top, values[at] ?? 0);
      // A limit is part of the picture unless it is far above everything.
      const limit = limits[name]?.[metric];
      if (limit !== undefined && limit < top * 6) top = Math.max(top, limit);
    }
    return top * 1.12;
  }

  function build(): void {
    for (const { chart } of charts) chart.destroy();
    charts = [];
    grid.replaceChildren();
    const names = series.names;
    shown = names.join("\n") + mode;
    for (const metric of METRICS) {
      const now = h("span");
      const box = h("div", { class: "nbc-plot", role: "img" });
      grid.append(h("div", { class: "nbc-chart" }, h("h4", {}, h("span", {}, TITLES[metric].title), now), box));
      const axis = { stroke: ink("--nbc-quiet"), grid: { stroke: ink("--nbc-line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
      const chart = new uPlot(
        {
          width: Math.max(200, box.clientWidth),
          height: 150,
          legend: { show: false },
          cursor: { drag: { x: false, y: false }, sync: { key: link.page }, points: { size: 6 } },
          scales: { x: { time: true, range: () => window_() }, y: { range: (chart) => [0, highest(metric, chart.scales["x"]!.min ?? 0)] } },
          axes: [
            { ...axis, size: 26, space: 70, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString([], { hour12: false })) },
            {
              ...axis, size: 62, space: 28,
              values: (_, ticks) => ticks.map((tick) => TITLES[metric].say(tick)),
              ...(metric === "memory" || metric === "io" ? { splits: (_: uPlot, __: number, low: number, high: number) => binarySplits(low, high, 5) } : {}),
            },
          ],
          series: [
            {},
            ...names.map((name, index) => ({
              label: name,
              stroke: colour(name),
              width: 1.8,
              dash: DASHES[Math.floor(index / PALETTE[mode].length) % DASHES.length],
              show: !off.has(name),
              points: { show: false },
              spanGaps: false,
            })),
          ],
          hooks: { draw: [(chart) => drawOver(metric, chart)], setCursor: [(chart) => say(metric, now, chart.cursor.idx ?? null)] },
        },
        data(metric),
        box,
      );
      charts.push({ metric, chart, now, box });
    }
    chips();
  }

  function window_(): [number, number] {
    const last = series.times[series.times.length - 1] ?? Date.now() / 1000;
    const right = held ? held.max : last;
    return [right - Number(range.value), right];
  }

  const data = (metric: Metric): uPlot.AlignedData => [series.times, ...series.names.map((name) => series.values.get(name)![metric])] as uPlot.AlignedData;

  function say(metric: Metric, where: HTMLElement, at: number | null): void {
    const index = at ?? series.times.length - 1;
    const names = shownNames();
    const parts = names.slice(0, 3).map((name) => {
      const value = series.values.get(name)![metric][index];
      const said = value === null || value === undefined ? "–" : TITLES[metric].say(value);
      const limit = limits[name]?.[metric];
      const of = limit !== undefined && names.length === 1 ? ` of ${TITLES[metric].say(limit)}` : "";
      return names.length === 1 ? said + of : `${name} ${said}`;
    });
    where.textContent = parts.join("  ") + (names.length > 3 ? "  …" : "");
  }

  function draw(): void {
    frame = 0;
    drawnAt = performance.now();
    const empty = series.names.length === 0;
    none.hidden = !empty;
    grid.hidden = empty;
    if (empty || !made.isConnected || !grid.clientWidth) return;
    if (shown !== series.names.join("\n") + mode) build();
    for (const { metric, chart, now, box } of charts) {
      if (!paused) chart.setData(data(metric));
      else chart.redraw();
      if (chart.cursor.idx === null || chart.cursor.idx === undefined) say(metric, now, null);
      box.setAttribute("aria-label", `${TITLES[metric].title}: ${now.textContent}`);
    }
  }
  /** At most as often as the screen, and not at all where nobody looks. */
  function soon(): void {
    if (!frame) frame = requestAnimationFrame(draw);
  }

  /** New samples: charts that slide along all the time are what `prefers-reduced-motion` asks to be spared. */
  function follows(): void {
    if (!still()) soon();
    else calm ??= setTimeout(() => {
      calm = undefined;
      soon();
    }, Math.max(0, drawnAt + CALM - performance.now()));
  }

  function chips(): void {
    groups.replaceChildren(
      ...series.names.map((name) => {
        const button = h("button", { "aria-pressed": String(!off.has(name)), title: `Show or hide ${name}` }, h("i", { "aria-hidden": true }), name);
        button.style.setProperty("--c", colour(name));
        button.addEventListener("click", () => {
          if (!off.delete(name)) off.add(name);
          button.setAttribute("aria-pressed", String(!off.has(name)));
          for (const { chart } of charts) chart.setSeries(1 + series.names.indexOf(name), { show: !off.has(name) });
          soon();
        });
        return button;
      }),
    );
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    held = paused ? { min: 0, max: series.times[series.times.length - 1] ?? 0 } : undefined;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    soon();
  });
  range.addEventListener("change", () => {
    for (const { chart } of charts) chart.setData(data(charts.find((one) => one.chart === chart)!.metric));
  });

  const doubles = (buffer: DataView): Float64Array => new Float64Array(buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength));
  const link = new Link(model, (message: Message, buffers: DataView[]) => {
    if (message.kind === "snapshot") {
      title.textContent = message.data.title;
      made.setAttribute("aria-label", message.data.title);
      width = message.data.columns.length;
    } else if (message.kind === "history") series.load(message["names"], buffers.map(doubles), width);
    else if (message.kind === "samples") {
      series.add(message["names"], doubles(buffers[0]!), width);
      follows();
      return;
    } else if (message.kind === "limits") limits = message.data;
    soon();
  });
  const unfollow = follow((now) => {
    mode = now;
    made.dataset["mode"] = now;
    soon();
  });
  const observer = new ResizeObserver(() => {
    for (const { chart, box } of charts) if (box.clientWidth) chart.setSize({ width: box.clientWidth, height: 150 });
    soon();
  });
  observer.observe(grid);
  made.addEventListener("keydown", (event) => event.stopPropagation());
  (made as any).usage = { series, limits: () => limits, drawnAt: () => drawnAt };
  link.open();
  return () => {
    observer.disconnect();
    unfollow();
    cancelAnimationFrame(frame);
    clearTimeout(calm);
    link.close();
    for (const { chart } of charts) chart.destroy();
  };
}
