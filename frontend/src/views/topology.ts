// The lab as a graph: cytoscape draws it, fCoSE lays it out. What stays, stays where it is.

import cytoscape, { type Core, type ElementDefinition, type NodeSingular, type StylesheetJson } from "cytoscape";
import fcose from "cytoscape-fcose";
import { h, root } from "../lib/dom";
import { MANY, matches, rate, seed, type GraphEdge, type GraphNode, type Patch } from "../lib/graph";
import { Link, type Message } from "../lib/link";
import type { Cleanup, RenderProps } from "../lib/model";
import { follow, PALETTE, still, type Mode } from "../lib/theme";
import view from "../lib/view.css";
import own from "./topology.css";

cytoscape.use(fcose);

const KINDS: Record<string, { colour: number; shape: string; words: string }> = {
  lab: { colour: 7, shape: "round-hexagon", words: "lab" },
  bridge: { colour: 0, shape: "round-rectangle", words: "bridges" },
  container: { colour: 2, shape: "ellipse", words: "containers" },
  netns: { colour: 3, shape: "round-diamond", words: "namespaces" },
  device: { colour: 4, shape: "round-tag", words: "devices" },
  remote: { colour: 1, shape: "round-pentagon", words: "remotes" },
  machine: { colour: 7, shape: "round-octagon", words: "machine" },
};

const INK: Record<Mode, { ink: string; quiet: string; ground: string; line: string; accent: string; bad: string }> = {
  light: { ink: "#1c2430", quiet: "#5b6675", ground: "#ffffff", line: "#9aa5b2", accent: "#0067b1", bad: "#c0392b" },
  dark: { ink: "#e4e9f0", quiet: "#9aa6b5", ground: "#12161c", line: "#566270", accent: "#6cb6ff", bad: "#ff8178" },
};

function sheet(mode: Mode): StylesheetJson {
  const ink = INK[mode];
  const style: any[] = [
    {
      selector: "node",
      style: {
        "background-opacity": mode === "dark" ? 0.28 : 0.18,
        "border-width": 2,
        color: ink.ink,
        "font-family": "system-ui, sans-serif",
        "font-size": 12,
        "font-weight": 600,
        height: 34,
        label: "data(said)",
        "min-zoomed-font-size": 7,
        "text-background-color": ink.ground,
        "text-background-opacity": 0.8,
        "text-background-padding": "2px",
        "text-margin-y": 5,
        "text-valign": "bottom",
        "text-wrap": "wrap",
        width: 34,
      },
    },
    ...Object.entries(KINDS).map(([kind, { colour, shape }]) => ({
      selector: `node[kind = "${kind}"]`,
      style: { "background-color": PALETTE[mode][colour], "border-color": PALETTE[mode][colour], shape },
    })),
    { selector: 'node[kind = "bridge"]', style: { width: 46, height: 24 } },
    { selector: 'node[kind = "lab"]', style: { width: 46, height: 42 } },
    { selector: 'node[kind = "device"], node[kind = "remote"]', style: { width: 24, height: 24 } },
    { selector: 'node[state = "paused"], node[state = "down"]', style: { "border-style": "dashed", "background-opacity": 0.05 } },
    {
      selector: "edge",
      style: {
        "curve-style": "bezier",
        "line-color": ink.line,
        width: 1.6,
        opacity: 0.9,
        color: ink.quiet,
        "font-size": 10,
        "font-family": "ui-monospace, Menlo, Consolas, monospace",
        "min-zoomed-font-size": 8,
        "text-background-color": ink.ground,
        "text-background-opacity": 0.85,
        "text-background-padding": "2px",
        "text-rotation": "autorotate",
      },
    },
    { selector: 'edge[kind = "port"]', style: { "line-style": "dotted", "target-arrow-shape": "triangle", "target-arrow-color": ink.line, label: "data(short)", width: 2 } },
    { selector: 'edge[kind = "tunnel"]', style: { "line-style": "dashed", label: "data(label)" } },
    { selector: 'edge[kind = "shared"]', style: { "line-style": "dashed", "line-dash-pattern": [2, 4] } },
    { selector: "edge[!up]", style: { "line-style": "dashed", "line-color": ink.bad, opacity: 0.7 } },
    { selector: "edge.busy", style: { "line-color": ink.accent, width: "data(wide)", "line-style": "dashed", "line-dash-pattern": [8, 4], opacity: 1 } },
    { selector: "edge.busy[said]", style: { label: "data(said)" } },
    { selector: ".dim", style: { opacity: 0.12, "text-opacity": 0.12 } },
    { selector: ".away", style: { display: "none" } },
    { selector: ":selected, .near", style: { "border-color": ink.accent, "line-color": ink.accent, "border-width": 3.5 } },
    { selector: "edge:selected, edge.near", style: { label: "data(label)", width: 2.6 } },
    { selector: ".new", style: { "overlay-color": ink.accent, "overlay-opacity": 0.28, "overlay-padding": 8 } },
    { selector: ".gone", style: { opacity: 0 } },
  ];
  return style as StylesheetJson;
}

function nodeData(node: GraphNode): Record<string, unknown> {
  return { ...node, said: node.note && node.kind !== "lab" ? `${node.label}\n${node.note}` : node.label };
}

function edgeData(edge: GraphEdge): Record<string, unknown> {
  return { ...edge, short: edge.kind === "port" ? edge.facts.map(([, value]) => value.replace(/.*:(\d+) → (\d+).*/, "$1 → $2")).filter((text, index, all) => all.indexOf(text) === index).join(", ") : edge.label, source: edge.a, target: edge.b };
}

export function render({ model, el }: RenderProps): Cleanup {
  const made = root(el, "topology", view, own);
  made.setAttribute("role", "group");
  const title = h("span", { class: "nbc-name" });
  const count = h("span", { class: "nbc-quiet", role: "status", "aria-live": "polite" });
  const search = h("input", { type: "search", placeholder: "Search: name, address, …", "aria-label": "Search the topology" });
  const fitButton = h("button", { title: "Show everything (F)", "aria-label": "Show everything" }, "Fit");
  const legend = h("div", { class: "nbc-legend", role: "group", "aria-label": "What is shown" });
  const stage = h("div", { class: "nbc-stage", tabindex: 0, role: "application", "data-lm-suppress-shortcuts": true });
  const facts = h("div", { class: "nbc-facts", role: "status", "aria-live": "polite", hidden: true });
  made.append(h("div", { class: "nbc-bar" }, title, count, h("span", { class: "nbc-space" }), legend, search, fitButton), stage);

  let cy: Core | undefined;
  let mode: Mode = "light";
  const hidden = new Set<string>();
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const later = (step: () => void, wait: number): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      step();
    }, wait);
    timers.add(timer);
  };

  // -- what is there

  function draw(nodes: GraphNode[], edges: GraphEdge[]): void {
    const places = seed(nodes, edges);
    if (cy) {
      const known = new Set([...nodes.map((node) => node.id), ...edges.map((edge) => edge.id)]);
      patch({
        put: [...nodes.map((node) => ({ node })), ...edges.map((edge) => ({ edge }))],
        drop: cy.elements().filter((element) => !known.has(element.id())).map((element) => element.id()),
      });
      return;
    }
    const elements: ElementDefinition[] = [
      ...nodes.map((node) => ({ group: "nodes" as const, data: nodeData(node), position: { ...places.get(node.id)! } })),
      ...edges.map((edge) => ({ group: "edges" as const, data: edgeData(edge) })),
    ];
    cy = cytoscape({
      container: stage,
      elements,
      style: sheet(mode),
      layout: { name: "preset" },
      minZoom: 0.1,
      maxZoom: 3,
      wheelSensitivity: 0.3,
      boxSelectionEnabled: false,
      textureOnViewport: nodes.length > 150,
      hideEdgesOnViewport: nodes.length > 300,
      pixelRatio: "auto",
    } as cytoscape.CytoscapeOptions);
    stage.append(facts);
    listen(cy);
    arrange(false);
    (made as any).graph = cy;
  }

  function arrange(animated: boolean, fixed: { nodeId: string; position: { x: number; y: number } }[] = []): void {
    if (!cy || cy.nodes().length === 0) return;
    if (cy.nodes().length > MANY) {
      if (!fixed.length) fit();
      else frame();
      return;
    }
    const layout = cy.layout({
      name: "fcose",
      quality: "default",
      randomize: false,
      animate: animated && !still(),
      animationDuration: 350,
      fit: false,
      padding: 40,
      nodeDimensionsIncludeLabels: !fixed.length,
      nodeSeparation: 140,
      idealEdgeLength: (edge: any) => (edge.data("kind") === "port" ? 190 : 85),
      nodeRepulsion: 14000,
      packComponents: true,
      numIter: 2500,
      fixedNodeConstraint: fixed.length ? fixed : undefined,
    } as any);
    layout.one("layoutstop", () => {
      if (!fixed.length) fit();
      else frame();
    });
    layout.run();
  }

  /** Show everything, without making few things huge. */
  function fit(): void {
    if (!cy) return;
    cy.fit(undefined, 36);
    if (cy.zoom() > 1.25) {
      cy.zoom(1.25);
      cy.center();
    }
  }

  /** Fit again only when something is outside of what is seen. */
  function frame(): void {
    if (!cy) return;
    const seen = cy.extent();
    const all = cy.elements().boundingBox();
    if (all.x1 < seen.x1 || all.x2 > seen.x2 || all.y1 < seen.y1 || all.y2 > seen.y2) {
      if (still()) fit();
      else cy.animate({ fit: { eles: cy.elements(), padding: 36 }, duration: 300 });
    }
  }

  function patch({ put, drop }: Patch): void {
    if (!cy) return;
    const graph = cy;
    const there = graph.nodes().not(".gone").map((node) => ({ nodeId: node.id(), position: { ...(node as NodeSingular).position() } }));
    let grown = false;
    graph.batch(() => {
      for (const id of drop) {
        const going = graph.getElementById(id);
        if (still()) going.remove();
        else {
          going.addClass("gone");
          later(() => graph.getElementById(id).filter(".gone").remove(), 400);
        }
      }
      for (const item of put) {
        const data = "node" in item ? nodeData(item.node) : edgeData(item.edge);
        const known = graph.getElementById(String(data["id"]));
        if (known.nonempty()) {
          known.removeClass("gone");
          known.data(data);
          continue;
        }
        if ("node" in item) {
          grown = true;
          graph.add({ group: "nodes", data, position: begin(item.node.id, put) }).addClass("new");
        } else if (graph.getElementById(item.edge.a).nonempty() && graph.getElementById(item.edge.b).nonempty()) {
          graph.add({ group: "edges", data }).addClass("new");
        }
      }
    });
    later(() => graph.elements(".new").removeClass("new"), still() ? 0 : 900);
    if (grown) arrange(true, there);
    tell();
    choose();
  }

  /** A new node begins beside what it hangs on. */
  function begin(id: string, put: Patch["put"]): { x: number; y: number } {
    for (const item of put) {
      if (!("edge" in item) || (item.edge.a !== id && item.edge.b !== id)) continue;
      const other = cy!.getElementById(item.edge.a === id ? item.edge.b : item.edge.a);
      if (other.nonempty()) {
        const turn = other.degree(false) * 2.4;
        const { x, y } = (other as unknown as NodeSingular).position();
        return { x: x + 95 * Math.cos(turn), y: y + 95 * Math.sin(turn) };
      }
    }
    const box = cy!.elements().boundingBox();
    return { x: box.x2 + 80, y: (box.y1 + box.y2) / 2 };
  }

  function tell(): void {
    if (!cy) return;
    const nodes = cy.nodes().not(".gone");
    const containers = nodes.filter('[kind = "container"]').length;
    const links = cy.edges().not(".gone").filter('[kind = "link"]').length;
    count.textContent = `${containers} ${containers === 1 ? "container" : "containers"}, ${links} ${links === 1 ? "link" : "links"}`;
    stage.setAttribute("aria-label", `Topology of ${title.textContent}: ${count.textContent}. Arrow keys go from node to node, Enter keeps the facts, plus and minus zoom, F shows everything.`);
    const kinds = [...new Set(nodes.map((node) => node.data("kind") as string))];
    for (const kind of Object.keys(KINDS)) {
      const known = legend.querySelector(`[data-kind="${kind}"]`);
      if (known && !kinds.includes(kind)) known.remove();
      if (known || !kinds.includes(kind)) continue;
      const swatch = h("i", { "aria-hidden": true });
      const button = h("button", { "data-kind": kind, "aria-pressed": "true", title: `Show or hide ${KINDS[kind]!.words}` }, swatch, KINDS[kind]!.words);
      button.style.setProperty("--c", PALETTE[mode][KINDS[kind]!.colour]!);
      button.addEventListener("click", () => {
        const off = !hidden.delete(kind);
        if (off) hidden.add(kind);
        button.setAttribute("aria-pressed", String(!off));
        choose();
      });
      legend.append(button);
    }
  }

  /** Search and filter. */
  function choose(): void {
    if (!cy) return;
    const typed = search.value;
    cy.batch(() => {
      cy!.nodes().forEach((node) => {
        node.toggleClass("away", hidden.has(node.data("kind")));
        node.toggleClass("dim", !matches(node.data() as GraphNode, typed));
      });
      cy!.edges().forEach((edge) => {
        edge.toggleClass("dim", Boolean(typed.trim()) && edge.connectedNodes(".dim").nonempty());
      });
    });
  }

  // -- facts

  let pinned = false;
  function show(data: any, x: number, y: number): void {
    const head = data.kind === "port" || data.source ? data.label || data.kind : data.label;
    const list = h("dl");
    for (const [what, value] of data.facts as [string, string][]) list.append(h("dt", {}, what), h("dd", {}, value));
    if (data.rate) list.append(h("dt", {}, "Traffic"), h("dd", {}, rate(data.rate)));
    facts.replaceChildren(h("b", {}, head), list);
    facts.hidden = false;
    facts.classList.toggle("nbc-pinned", pinned);
    const room = stage.getBoundingClientRect();
    facts.style.left = `${Math.max(4, Math.min(x + 16, room.width - facts.offsetWidth - 8))}px`;
    facts.style.top = `${Math.max(4, Math.min(y + 12, room.height - facts.offsetHeight - 8))}px`;
  }
  function hide(): void {
    pinned = false;
    facts.hidden = true;
    cy?.elements().removeClass("near").unselect();
  }

  function select(element: any): void {
    cy!.elements().unselect().removeClass("near");
    element.select();
    if (element.isNode()) element.connectedEdges().addClass("near");
    const place = element.isNode() ? element.renderedPosition() : element.renderedMidpoint();
    show(element.data(), place.x, place.y);
  }

  function listen(graph: Core): void {
    graph.on("mouseover", "node, edge", (event) => {
      if (!pinned) show(event.target.data(), event.renderedPosition.x, event.renderedPosition.y);
      if (event.target.isNode() && !pinned) event.target.connectedEdges().addClass("near");
      stage.style.cursor = "pointer";
    });
    graph.on("mouseout", "node, edge", () => {
      stage.style.cursor = "";
      if (!pinned) hide();
    });
    graph.on("tap", "node, edge", (event) => {
      pinned = true;
      select(event.target);
    });
    graph.on("tap", (event) => {
      if (event.target === graph) hide();
    });
    graph.on("pan zoom", () => {
      if (!pinned) facts.hidden = true;
    });
  }

  const go: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  stage.addEventListener("keydown", (event) => {
    if (!cy) return;
    const at = cy.nodes(":selected");
    if (event.key in go) {
      const [dx, dy] = go[event.key]!;
      const from = at.nonempty() ? at[0]! : undefined;
      let best: NodeSingular | undefined;
      let least = Infinity;
      cy.nodes().not(".away, .gone").forEach((node) => {
        if (!from) {
          if (node.data("kind") === "lab" || !best) best = node;
          return;
        }
        if (node.same(from)) return;
        const [x, y] = [node.position().x - from.position().x, node.position().y - from.position().y];
        const ahead = x * dx + y * dy;
        if (ahead <= 0) return;
        const cost = ahead + 2.5 * Math.abs(x * dy - y * dx);
        if (cost < least) [least, best] = [cost, node];
      });
      if (best) select(best);
    } else if (event.key === "Enter" || event.key === " ") {
      pinned = at.nonempty();
      if (pinned) select(at[0]);
    } else if (event.key === "Escape") hide();
    else if (event.key === "+" || event.key === "=") cy.zoom({ level: cy.zoom() * 1.25, renderedPosition: { x: stage.clientWidth / 2, y: stage.clientHeight / 2 } });
    else if (event.key === "-") cy.zoom({ level: cy.zoom() / 1.25, renderedPosition: { x: stage.clientWidth / 2, y: stage.clientHeight / 2 } });
    else if (event.key.toLowerCase() === "f") fit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  search.addEventListener("input", choose);
  search.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") {
      search.value = "";
      choose();
    }
    if (event.key === "Enter" && cy) {
      const found = cy.nodes().not(".dim, .away");
      if (found.nonempty()) {
        cy.animate({ fit: { eles: found, padding: 90 }, duration: still() ? 0 : 250 });
        pinned = true;
        select(found[0]);
      }
    }
  });
  fitButton.addEventListener("click", () => fit());

  // -- traffic

  let offset = 0;
  let running = 0;
  function flow(): void {
    running = 0;
    if (!cy) return;
    const busy = cy.edges(".busy");
    if (busy.empty() || still() || document.hidden) return;
    offset -= 1;
    busy.style("line-dash-offset", offset);
    running = window.setTimeout(() => requestAnimationFrame(flow), 40);
  }
  function traffic(rates: Record<string, number>): void {
    if (!cy) return;
    cy.batch(() => {
      cy!.edges(".busy").filter((edge) => !(edge.id() in rates)).removeClass("busy").removeData("rate said wide").removeStyle("line-dash-offset");
      for (const [id, bytes] of Object.entries(rates)) {
        const edge = cy!.getElementById(id);
        if (edge.nonempty()) edge.data({ rate: bytes, said: rate(bytes), wide: Math.min(7, 2 + Math.log10(1 + bytes) / 1.6) }).addClass("busy");
      }
    });
    if (!running) flow();
  }

  const link = new Link(model, (message: Message) => {
    if (message.kind === "snapshot") {
      title.textContent = message.data.title;
      made.setAttribute("aria-label", `Topology: ${message.data.title}`);
      draw(message.data.nodes, message.data.edges);
      tell();
    } else if (message.kind === "patch") patch(message.data as Patch);
    else if (message.kind === "traffic") traffic(message.data);
  });

  const unfollow = follow((now) => {
    mode = now;
    made.dataset["mode"] = now;
    cy?.style().fromJson(sheet(now)).update();
    for (const button of legend.querySelectorAll<HTMLElement>("button")) {
      button.style.setProperty("--c", PALETTE[now][KINDS[button.dataset["kind"]!]!.colour]!);
    }
  });
  // A view has no size before it is in the page.
  let opened = false;
  let size = 0;
  const observer = new ResizeObserver(() => {
    if (!stage.clientWidth) return;
    if (!opened) {
      opened = true;
      link.open();
    } else if (cy) {
      cy.resize();
      if (Math.abs(stage.clientWidth * stage.clientHeight - size) > 2000) fit();
    }
    size = stage.clientWidth * stage.clientHeight;
  });
  observer.observe(stage);

  return () => {
    observer.disconnect();
    unfollow();
    clearTimeout(running);
    for (const timer of timers) clearTimeout(timer);
    link.close();
    cy?.destroy();
    cy = undefined;
  };
}
