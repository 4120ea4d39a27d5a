"use strict";
// Draws the network of a file: modules fold into boxes, boxes stand in layers from top to bottom, and colours show one
// figure at a time. Text goes in as text, never as markup.
(() => {
  const $ = id => document.getElementById(id);
  const source = $("network-data");
  if (!source) return;
  const files = JSON.parse(source.textContent).networks;
  const bar = $("network-find"), place = $("network-graph"), facts = $("network-facts"), said = $("network-said");
  const list = $("network-list");
  // Boxes of a graph as it opens, and sizes in pixels.
  const FEW = 40, WIDTH = 196, HEIGHT = 40, ACROSS = 20, DOWN = 26, MARGIN = 14;
  const NS = "http://www.w3.org/2000/svg";
  const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    Object.entries(attributes || {}).forEach(([name, value]) => node.setAttribute(name, value));
    node.append(...children);
    return node;
  };
  const draw = (tag, attributes, ...children) => {
    const node = document.createElementNS(NS, tag);
    Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
    node.append(...children);
    return node;
  };
  const bytes = n => n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toPrecision(3)} kB` : `${(n / 1e6).toPrecision(3)} MB`;
  const time = ns => ns >= 1e9 ? (ns / 1e9).toPrecision(3) + " s" : ns >= 1e6 ? (ns / 1e6).toPrecision(3) + " ms"
    : ns >= 1e3 ? (ns / 1e3).toPrecision(3) + " µs" : ns + " ns";
  const unique = values => [...new Set(values.filter(Boolean))];

  // One entry per colouring: its name, the value of a box, the words for a value, and how values become colours.
  const sum = (nodes, key) => nodes.some(n => n[key] !== null) ? nodes.reduce((s, n) => s + (n[key] || 0), 0) : null;
  const COLOURS = [
    {key: "time", title: "time", of: nodes => sum(nodes, "ns"), words: time},
    {key: "size", title: "size of the weights", of: nodes => sum(nodes, "bytes") || null, words: bytes},
    {key: "sqnr", title: "SQNR with only this layer in int8", words: db => `${db} dB`, down: true,
      of: nodes => nodes.reduce((low, n) => n.sqnr === null ? low : low === null ? n.sqnr : Math.min(low, n.sqnr), null)},
    {key: "delegate", title: "what ran it", of: nodes => unique(nodes.map(n => n.ran)).sort().join("+") || null,
      words: name => name, names: true},
    {key: "change", title: "what the recipe changed", of: nodes => nodes.some(n => n.change) ? "changed" : null,
      words: name => name, names: true},
  ];

  // A module of many children gets a level of ranges between it and them.
  const divide = (nodes, depth) => {
    const parts = unique(nodes.map(n => n.path[depth]));
    if (!parts.length || depth > 12) return;
    if (parts.length > FEW) {
      const each = Math.ceil(parts.length / FEW), at = new Map(parts.map((p, k) => [p, Math.floor(k / each) * each]));
      nodes.filter(n => n.path[depth]).forEach(n => {
        const k = at.get(n.path[depth]);
        n.path.splice(depth, 0, `${parts[k]} … ${parts[Math.min(parts.length, k + each) - 1]}`);
      });
    }
    const groups = new Map();
    nodes.forEach(n => {
      if (n.path.length > depth + 1) {
        if (!groups.has(n.path[depth])) groups.set(n.path[depth], []);
        groups.get(n.path[depth]).push(n);
      }
    });
    groups.forEach(members => divide(members, depth + 1));
  };
  const read = file => {
    const nodes = file.nodes.map(([kind, name, layer, after, size, weights, ns, sqnr, ran, change, count], i) => ({
      i, kind: file.words[kind], name, layer: file.words[layer], after, bytes: size, weights: file.words[weights], ns,
      sqnr, ran: file.words[ran], change: file.words[change], count,
    }));
    // Files without names of layers fold by runs of nodes, each from one with weights to the next.
    if (!nodes.some(n => n.layer)) {
      let block = 0;
      nodes.forEach(n => { if (n.bytes) block++; n.layer = `part ${block || 1}`; });
    }
    nodes.forEach(n => { n.path = n.layer ? n.layer.split(".") : []; });
    divide(nodes, 0);
    return nodes;
  };

  const cache = new Map();
  let state = {file: 0, colour: "", open: new Set()};
  const nodesOf = f => { if (!cache.has(f)) cache.set(f, read(files[f])); return cache.get(f); };
  // The modules that are open at first: as deep as the boxes stay few. Layers stay closed, with what follows them.
  const opened = nodes => {
    let open = new Set([""]);
    for (let depth = 1; depth < 9; depth++) {
      const next = new Set(open);
      nodes.forEach(n => { if (n.path.length > depth) next.add(n.path.slice(0, depth).join(".")); });
      if (boxesOf(nodes, next).length > FEW || next.size === open.size) break;
      open = next;
    }
    return open;
  };
  const boxKey = (n, open) => {
    for (let depth = 1; depth <= n.path.length; depth++) {
      const key = n.path.slice(0, depth).join(".");
      if (!open.has(key)) return key;
    }
    return "#" + n.i;
  };
  const boxesOf = (nodes, open) => {
    const boxes = new Map(), at = [];
    nodes.forEach(n => {
      const key = boxKey(n, open);
      if (!boxes.has(key)) boxes.set(key, {key, nodes: [], before: new Set(), after: new Set()});
      boxes.get(key).nodes.push(n);
      at.push(boxes.get(key));
    });
    nodes.forEach(n => n.after.forEach(m => {
      if (at[m] !== at[n.i]) { at[n.i].before.add(at[m]); at[m].after.add(at[n.i]); }
    }));
    return [...boxes.values()];
  };

  // Layers by the longest way from the start. A folded module may read from what comes after its first node; such
  // edges do not push it down.
  const layout = boxes => {
    boxes.forEach((b, i) => { b.order = i; b.rank = 0; });
    boxes.forEach(b => b.before.forEach(p => { if (p.order < b.order) b.rank = Math.max(b.rank, p.rank + 1); }));
    const ranks = [];
    boxes.forEach(b => (ranks[b.rank] = ranks[b.rank] || []).push(b));
    const middle = set => [...set].reduce((s, p) => s + p.x, 0) / set.size;
    ranks.forEach(row => row.forEach((b, i) => { b.x = i - (row.length - 1) / 2; }));
    // A few passes down and up put boxes near what they are connected to.
    for (let pass = 0; pass < 6; pass++) {
      const down = pass % 2 === 0;
      (down ? ranks : [...ranks].reverse()).forEach(row => {
        row.forEach(b => { const near = down ? b.before : b.after; b.aim = near.size ? middle(near) : b.x; });
        row.sort((a, b) => a.aim - b.aim || a.order - b.order);
        row.forEach((b, i) => { b.x = Math.max(b.aim, i ? row[i - 1].x + 1 : -Infinity); });
        const shift = row.reduce((s, b) => s + b.x - b.aim, 0) / row.length;
        row.forEach(b => { b.x -= shift; });
      });
    }
    const left = Math.min(...boxes.map(b => b.x));
    boxes.forEach(b => {
      b.left = MARGIN + (b.x - left) * (WIDTH + ACROSS);
      b.top = MARGIN + b.rank * (HEIGHT + DOWN);
    });
    return {ranks, width: Math.max(...boxes.map(b => b.left)) + WIDTH + MARGIN,
      height: MARGIN * 2 + ranks.length * (HEIGHT + DOWN) - DOWN};
  };
  const edge = (a, b) => {
    const x1 = a.left + WIDTH / 2, y1 = a.top + HEIGHT, x2 = b.left + WIDTH / 2, y2 = b.top;
    if (b.rank === a.rank + 1) return `M${x1},${y1}C${x1},${y1 + DOWN / 2} ${x2},${y2 - DOWN / 2} ${x2},${y2}`;
    // Around the boxes in between.
    const side = Math.max(a.left, b.left) + WIDTH + 6 + 4 * Math.min(6, Math.abs(b.rank - a.rank));
    return `M${a.left + WIDTH},${a.top + HEIGHT / 2}C${side},${a.top + HEIGHT / 2} ${side},${a.top + HEIGHT} ${side},`
      + `${(y1 + y2) / 2}S${side},${b.top + HEIGHT / 2} ${b.left + WIDTH},${b.top + HEIGHT / 2}`;
  };

  const isModule = b => !b.key.startsWith("#") && (b.nodes.length > 1 || b.nodes[0].path.join(".") !== b.key);
  const titleOf = b => {
    if (b.key.startsWith("#")) return b.nodes[0].kind;
    const path = b.nodes[0].path, depth = path.findIndex((_, d) => path.slice(0, d + 1).join(".") === b.key);
    return path.slice(0, depth + 1).filter((part, d) => d === depth || !part.includes(" … ")).join(".");
  };
  const kindsOf = b => {
    const kinds = unique(b.nodes.map(n => n.kind));
    const count = b.nodes.reduce((s, n) => s + n.count, 0);
    return kinds.length > 3 ? `${count} nodes` : kinds.join(" + ") + (b.nodes.length > kinds.length ? ` (${count})` : "");
  };
  const under = b => b.nodes.length > 1 ? kindsOf(b) : b.key.startsWith("#") ? b.nodes[0].name : b.nodes[0].kind;
  // The width of text in pixels, roughly: an estimate is enough to keep two texts apart.
  const wide = (text, size) => [...text].reduce((sum, c) => sum + size * (/[A-Z_0-9+]/.test(c) ? .69 : .58), 0);
  const fit = (text, room, end, size = 11) => {
    let kept = text;
    while (kept.length > 1 && wide(kept, size) > room) kept = end ? kept.slice(1) : kept.slice(0, -1);
    return kept === text ? text : kept.length < 3 ? "" : end ? "…" + kept.slice(1) : kept.slice(0, -1) + "…";
  };
  const factsOf = b => {
    const each = c => { const v = c.of(b.nodes); return v === null || c.key === "change" ? "" : c.words(v); };
    const pairs = COLOURS.filter(c => c.key !== "change").map(c => [c.title, each(c)]);
    return [
      ["nodes", kindsOf(b)],
      ["name", b.nodes.length === 1 ? b.nodes[0].name : ""],
      ["weights", unique(b.nodes.map(n => n.weights)).slice(0, 3).join("; ")],
      ...pairs,
      ["changed", unique(b.nodes.map(n => n.change)).slice(0, 4).join("; ")],
      ["reads", [...b.before].map(titleOf).slice(0, 6).join(", ")],
    ].filter(([, value]) => value);
  };

  // Colours.
  const scaleOf = (boxes, colour) => {
    const values = boxes.map(b => colour.of(b.nodes)).filter(v => v !== null);
    if (colour.names) {
      const names = colour.key === "change" ? ["changed"] : unique(values).sort();
      return {of: v => v === null ? null : PALETTE[names.indexOf(v) % PALETTE.length], legend: names};
    }
    const low = Math.min(...values), high = Math.max(...values);
    // Pale to dark; sensitive layers, whose SQNR is low, are dark.
    const share = v => high === low ? 1 : colour.down ? (high - v) / (high - low) : v / high;
    return {of: v => v === null ? null : `color-mix(in oklab, #0072b2 ${Math.round(8 + 82 * share(v))}%, var(--paper))`,
      dark: v => v !== null && share(v) > .5, low, high};
  };
  const available = nodes => COLOURS.filter(c => c.key === "change" ? files[state.file].compared
    : nodes.some(n => c.of([n]) !== null));

  let boxes = [], ranks = [];
  const show = focus => {
    const nodes = nodesOf(state.file), choices = available(nodes);
    if (!choices.some(c => c.key === state.colour)) state.colour = choices.length ? choices[0].key : "size";
    const colour = COLOURS.find(c => c.key === state.colour);
    boxes = boxesOf(nodes, state.open);
    const plan = layout(boxes), scale = scaleOf(boxes, colour);
    ranks = plan.ranks;
    const picture = draw("svg", {viewBox: `0 0 ${plan.width + 40} ${plan.height}`, width: plan.width + 40,
      height: plan.height, role: "group", "aria-label": `Network of ${files[state.file].label}`});
    boxes.forEach(b => b.before.forEach(p => picture.append(draw("path", {d: edge(p, b), class: "edge"}))));
    boxes.forEach(b => picture.append(boxOf(b, colour, scale)));
    place.replaceChildren(picture);
    controls(choices);
    legend(colour, scale, nodes);
    table();
    const to = boxes.find(b => b.key === focus) || null;
    const seen = to || boxes[0];
    place.scrollLeft = seen.left + (WIDTH - place.clientWidth) / 2;
    if (to) to.element.focus(); else { boxes[0].element.setAttribute("tabindex", "0"); tell(boxes[0]); }
  };
  const boxOf = (b, colour, scale) => {
    const value = colour.of(b.nodes), fill = scale.of(value);
    const text = value === null ? "" : colour.words(value);
    const dark = colour.names ? false : scale.dark(value);
    const changed = colour.key !== "change" && b.nodes.some(n => n.change);
    const named = colour.names && fill;
    const words = factsOf(b).map(([k, v]) => `${k}: ${v}`).join(", ");
    const title = fit(titleOf(b), WIDTH - 40, true, 12), room = WIDTH - 29 - wide(text, 11);
    // A name says most at its end, a list of kinds at its start.
    const below = fit(under(b), room, b.key.startsWith("#"));
    // Whoever speaks to the page says what stands in the box, so its name begins with that; what was cut follows.
    const seen = [title, below, text].filter(Boolean).join(" ");
    const name = [seen, title === titleOf(b) ? "" : titleOf(b), words].filter(Boolean).join(", ");
    const node = draw("g", {class: `box${isModule(b) ? " module" : ""}${dark ? " dark" : ""}`, role: "button",
      tabindex: "-1", transform: `translate(${b.left.toFixed(1)},${b.top})`, "aria-label": name});
    if (isModule(b)) node.setAttribute("aria-expanded", "false");
    node.append(draw("rect", {width: WIDTH, height: HEIGHT, rx: 6, style: fill && !named ? `fill:${fill}` : ""}));
    if (named) node.append(draw("rect", {width: 7, height: HEIGHT, rx: 3, style: `fill:${fill}`, class: "tab"}));
    if (changed) node.append(draw("path", {d: `M${WIDTH - 13},0h7a6,6 0 0 1 6,6v7z`, class: "changed"}));
    const mark = isModule(b) ? "▸ " : "";
    node.append(draw("text", {x: 13, y: 16, class: "title"}, mark + title), " ");
    node.append(draw("text", {x: 13, y: 32, class: "kinds"}, below), " ");
    node.append(draw("text", {x: WIDTH - 8, y: 32, class: "value"}, text));
    node.append(draw("title", {}, `${titleOf(b)}\n${factsOf(b).map(([k, v]) => `${k}: ${v}`).join("\n")}`));
    node.addEventListener("focus", () => {
      boxes.forEach(o => o.element.setAttribute("tabindex", o === b ? "0" : "-1"));
      tell(b);
    });
    node.addEventListener("click", () => { node.focus(); if (isModule(b)) unfold(b); });
    node.addEventListener("keydown", event => step(event, b));
    b.element = node;
    return node;
  };
  const unfold = b => {
    state.open.add(b.key);
    show(boxKey(b.nodes[0], state.open));
  };
  const fold = b => {
    // The module that a box stands in is the deepest open one above it.
    const path = b.nodes[0].path;
    for (let depth = path.length; depth > 0; depth--) {
      const key = path.slice(0, depth).join(".");
      if (state.open.has(key) && key !== b.key) {
        [...state.open].forEach(k => { if (k === key || k.startsWith(key + ".")) state.open.delete(k); });
        show(key);
        return;
      }
    }
  };
  const step = (event, b) => {
    const row = ranks[b.rank], at = row.indexOf(b), first = set => [...set].sort((p, q) => p.order - q.order)[0];
    const to = {ArrowDown: first(b.after) || boxes[b.order + 1], ArrowUp: first(b.before) || boxes[b.order - 1],
      ArrowRight: row[at + 1], ArrowLeft: row[at - 1], Home: boxes[0], End: boxes[boxes.length - 1]}[event.key];
    if (to) { to.element.focus(); to.element.scrollIntoView({block: "nearest", inline: "nearest"}); }
    else if ((event.key === "Enter" || event.key === " ") && isModule(b)) unfold(b);
    else if (event.key === "Escape" || event.key === "Backspace") fold(b);
    else return;
    event.preventDefault();
  };
  const tell = b => {
    const parent = b.nodes[0].path.some((_, d, path) => {
      const key = path.slice(0, d + 1).join(".");
      return state.open.has(key) && key !== b.key;
    });
    facts.replaceChildren(make("h3", {}, titleOf(b)),
      make("dl", {}, ...factsOf(b).flatMap(([k, v]) => [make("dt", {}, k), make("dd", {}, v)])));
    const button = (text, act) => {
      const node = make("button", {type: "button"}, text);
      node.addEventListener("click", act);
      facts.append(node);
    };
    if (isModule(b)) button("Open this module", () => unfold(b));
    if (parent) button("Close its module", () => fold(b));
  };
  const legend = (colour, scale, nodes) => {
    const count = nodes.reduce((s, n) => s + n.count, 0);
    const parts = [`${count} node${count === 1 ? "" : "s"} in ${boxes.length} box${boxes.length === 1 ? "" : "es"}.`];
    said.replaceChildren(parts[0], " ");
    if (scale.legend) {
      scale.legend.forEach((name, i) => {
        const dot = make("span", {class: "dot", style: `background:${PALETTE[i % PALETTE.length]}`});
        said.append(make("span", {class: "key"}, dot, name));
      });
    } else if (scale.low !== undefined && isFinite(scale.low)) {
      said.append(colour.down ? `Dark is ${colour.words(scale.low)}, pale ${colour.words(scale.high)}.`
        : `Dark is ${colour.words(scale.high)}.`);
    }
    const unplaced = files[state.file].unplaced;
    if (colour.key === "time" && unplaced > .005) {
      said.append(` ${Math.round(100 * unplaced)} % of the time belongs to operators that no node is known of.`);
    }
    if (colour.key !== "change" && nodes.some(n => n.change)) {
      said.append(" A corner marks what differs from fp32.");
    }
  };
  const table = () => {
    if (!list.open) return;
    const titles = ["box", "nodes", "weights", ...COLOURS.filter(c => c.key !== "change").map(c => c.title), "changed"];
    const cells = b => { const known = new Map(factsOf(b)); return [titleOf(b), ...titles.slice(1).map(t => known.get(t) || "–")]; };
    const head = make("thead", {}, make("tr", {}, ...titles.map(t => make("th", {scope: "col", class: "word"}, t))));
    const body = make("tbody", {}, ...boxes.map(b => make("tr", {}, ...cells(b).map((t, i) =>
      make("td", {class: i ? "word" : "name"}, t)))));
    list.querySelector(".scroll").replaceChildren(make("table", {}, head, body));
  };

  // The controls.
  const which = make("select", {"aria-label": "File"}), colours = make("select", {"aria-label": "Colour"});
  which.append(...files.map((f, i) => make("option", {value: i}, f.label)));
  const controls = choices => {
    which.value = state.file;
    colours.replaceChildren(...choices.map(c => make("option", {value: c.key}, `colour: ${c.title}`)));
    colours.value = state.colour;
  };
  const open = f => { state = {file: f, colour: state.colour, open: opened(nodesOf(f))}; show(); };
  which.addEventListener("change", () => open(Number(which.value)));
  colours.addEventListener("change", () => { state.colour = colours.value; show(); });
  list.addEventListener("toggle", table);
  const button = (text, act) => {
    const node = make("button", {type: "button"}, text);
    node.addEventListener("click", act);
    return node;
  };
  const every = nodes => new Set(nodes.flatMap(n => n.path.map((_, d) => n.path.slice(0, d + 1).join("."))));
  const all = button("Open all", () => { state.open = every(nodesOf(state.file)); show(); });
  const none = button("Close all", () => { state.open = new Set([""]); show(); });
  bar.append(which, colours, all, none);
  open(0);
})();
