"use strict";
// Finds, sorts, groups and copies the cells, and opens what is behind them. The words and figures come from the page;
// this script only chooses and places them. Text goes in as text, never as markup, except the rows of the page itself.
(() => {
  const $ = id => document.getElementById(id);
  const table = $("cells"), source = $("cells-data");
  if (!table || !source) return;
  const data = JSON.parse(source.textContent);
  const body = table.tBodies[0], said = $("cells-said"), more = $("cells-more");
  const STEP = 50;
  const facets = data.facets, columns = data.columns, rows = data.rows;
  const column = key => columns.findIndex(c => c.key === key);
  const facet = key => facets.findIndex(f => f.key === key);

  // Rows that the page carries as elements; the others are made when they are first shown.
  const made = new Map([...body.rows].map(row => [Number(row.dataset.row), row]));
  const element = i => {
    if (!made.has(i)) {
      const holder = document.createElement("template");
      holder.innerHTML = data.html[i];
      made.set(i, holder.content.firstElementChild);
    }
    return made.get(i);
  };
  const words = rows.map(row => (facets.map((f, k) => f.values[row[k]]).join(" ") + " " + row[facets.length])
    .toLowerCase());
  const sortValue = (i, c) => rows[i][facets.length + 1 + c];

  // What a link carries: everything that differs from the page as it opens.
  const fresh = () => ({
    q: "", chosen: facets.map(f => new Set(f.preset)), sort: null, group: "", folded: new Set(),
    shownColumns: new Set(columns.filter(c => !c.hidden).map(c => c.key)), open: new Set(), most: STEP,
  });
  let state = fresh();
  const same = (a, b) => a.size === b.size && [...a].every(x => b.has(x));

  const fromLink = () => {
    // A fragment without "=" is the address of a note.
    if (!location.hash.includes("=")) return false;
    const link = new URLSearchParams(location.hash.slice(1));
    state = fresh();
    state.q = link.get("q") || "";
    facets.forEach((f, k) => {
      if (link.has(f.key)) state.chosen[k] = new Set(link.getAll(f.key).filter(v => f.values.includes(v)));
    });
    const sort = link.get("sort");
    if (sort && column(sort.replace(/^-/, "")) >= 0) {
      state.sort = {column: column(sort.replace(/^-/, "")), down: sort.startsWith("-")};
    }
    if (facet(link.get("group")) >= 0) state.group = link.get("group");
    state.folded = new Set(link.getAll("fold"));
    if (link.has("column")) state.shownColumns = new Set(link.getAll("column").filter(key => column(key) >= 0));
    state.open = new Set(link.getAll("cell").map(key => data.keys.indexOf(key)).filter(i => i >= 0));
    return true;
  };
  const toLink = () => {
    const link = new URLSearchParams(), plain = fresh();
    if (state.q) link.set("q", state.q);
    facets.forEach((f, k) => {
      if (!same(state.chosen[k], plain.chosen[k])) {
        if (!state.chosen[k].size) link.append(f.key, "");
        state.chosen[k].forEach(v => link.append(f.key, v));
      }
    });
    if (state.sort) link.set("sort", (state.sort.down ? "-" : "") + columns[state.sort.column].key);
    if (state.group) link.set("group", state.group);
    state.folded.forEach(v => link.append("fold", v));
    if (!same(state.shownColumns, plain.shownColumns)) state.shownColumns.forEach(key => link.append("column", key));
    state.open.forEach(i => link.append("cell", data.keys[i]));
    const text = link.toString();
    // A page from a mail program may not be allowed to change its address; everything else still works.
    try {
      history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
    } catch { if (text) location.hash = text; }
  };

  const matching = () => {
    const parts = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    for (let i = 0; i < rows.length; i++) {
      if (facets.every((f, k) => !state.chosen[k].size || state.chosen[k].has(f.values[rows[i][k]]))
          && parts.every(part => words[i].includes(part))) found.push(i);
    }
    return found;
  };
  const compare = (a, b) => {
    const {column: c, down} = state.sort, x = sortValue(a, c), y = sortValue(b, c);
    if (x === "" || y === "") return x === y ? a - b : x === "" ? 1 : -1;
    const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return (down ? -order : order) || a - b;
  };
  // [value of the group or null, rows]
  const grouped = order => {
    if (!state.group) return [[null, order]];
    const k = facet(state.group), members = new Map();
    order.forEach(i => {
      const value = facets[k].values[rows[i][k]];
      if (!members.has(value)) members.set(value, []);
      members.get(value).push(i);
    });
    return [...members];
  };

  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    Object.entries(attributes || {}).forEach(([name, value]) => node.setAttribute(name, value));
    node.append(...children);
    return node;
  };
  const groupRow = (value, members) => {
    const folded = state.folded.has(value);
    const button = make("button", {type: "button", "aria-expanded": String(!folded)},
      `${value} (${members.length} cell${members.length === 1 ? "" : "s"})`);
    button.addEventListener("click", () => {
      folded ? state.folded.delete(value) : state.folded.add(value);
      show();
      [...body.querySelectorAll("tr.group button")].find(b => b.textContent.startsWith(value + " ("))?.focus();
    });
    const head = make("th", {colspan: columns.length, scope: "rowgroup"}, button);
    return make("tr", {class: "group"}, head);
  };

  // What is behind a cell.
  let behind = null;
  const details = () => behind || (behind = JSON.parse($("cells-details").textContent));
  const read = value => typeof value === "number" ? details().words[value] : value.map(read);
  const blockOf = ([kind, title, coded, note]) => {
    const place = make("section", {}, make("h4", {}, read(title)));
    const content = kind === "calls" ? coded : read(coded);
    if (kind === "facts") {
      place.append(make("dl", {}, ...content.flatMap(([k, v]) => [make("dt", {}, k), make("dd", {}, v)])));
    } else if (kind === "table") {
      const [titles, ...lines] = content;
      const grid = make("table", {},
        make("thead", {}, make("tr", {}, ...titles.map(t => make("th", {scope: "col"}, t)))),
        make("tbody", {}, ...lines.map(line => make("tr", {}, ...line.map(t => make("td", {}, t))))));
      place.classList.add("wide");
      place.append(make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": read(title)}, grid));
    } else if (kind === "list") {
      place.append(make("ul", {}, ...content.map(t => make("li", {}, t))));
    } else if (kind === "code") {
      place.append(...content.map(t => make("pre", {tabindex: "0"}, t)));
    } else if (kind === "calls") {
      place.append(trace(content));
    }
    if (read(note)) place.append(make("p", {class: "note"}, read(note)));
    return place;
  };
  const time = ns => ns >= 1e9 ? (ns / 1e9).toPrecision(3) + " s" : ns >= 1e6 ? (ns / 1e6).toPrecision(3) + " ms"
    : ns >= 1e3 ? (ns / 1e3).toPrecision(3) + " µs" : ns + " ns";
  // The calls of each launch after one another; those that warmed up are pale.
  const trace = launches => {
    const steady = launches.flatMap(row => row.slice(1 + row[0])).sort((a, b) => a - b);
    const low = steady[0], high = Math.max(steady[Math.floor(steady.length * .99)] || low, low * 1.02);
    const total = launches.reduce((n, row) => n + row.length + 1, 0);
    const words = `From ${time(low)} to ${time(steady[steady.length - 1])} in ${launches.length} `
      + `launch${launches.length === 1 ? "" : "es"}; the axis ends at ${time(high)}. Pale calls warmed up.`;
    let x = 0, bars = "";
    launches.forEach((row, n) => {
      row.slice(1).forEach((ns, i) => {
        const height = 6 + 88 * Math.min(1, Math.max(0, (ns - low) / (high - low)));
        const fill = i < row[0] ? "var(--grid)" : n % 2 ? "#0072b2" : "#56b4e9";
        bars += `<rect x="${(1000 * x++ / total).toFixed(1)}" y="${(100 - height).toFixed(1)}" `
          + `width="${(900 / total).toFixed(2)}" height="${height.toFixed(1)}" fill="${fill}"/>`;
      });
      x += 2;
    });
    const holder = document.createElement("template");
    // Numbers and colours of this script alone.
    holder.innerHTML = `<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img">${bars}</svg>`;
    const picture = holder.content.firstElementChild;
    picture.setAttribute("aria-label", words);
    return make("div", {}, picture, make("p", {class: "note"}, words));
  };
  const detailRow = i => {
    const {blocks, cells} = details();
    const inside = make("div", {class: "behind"}, ...cells[i].map(n => blockOf(blocks[n])));
    return make("tr", {class: "detail", id: "behind-" + i}, make("td", {colspan: columns.length}, inside));
  };

  const dress = () => {
    columns.forEach((c, k) => {
      const hidden = !state.shownColumns.has(c.key);
      table.tHead.rows[0].cells[k].hidden = hidden;
      const sorted = state.sort && state.sort.column === k;
      const head = table.tHead.rows[0].cells[k];
      sorted ? head.setAttribute("aria-sort", state.sort.down ? "descending" : "ascending")
        : head.removeAttribute("aria-sort");
    });
    body.querySelectorAll("tr[data-row]").forEach(row => columns.forEach((c, k) => {
      row.cells[k].hidden = !state.shownColumns.has(c.key);
      // A narrow screen shows the name of a figure above it.
      row.cells[k].dataset.label = c.unit ? `${c.title}, ${c.unit}` : c.title;
    }));
  };
  let order = [];
  const show = () => {
    const found = matching();
    if (state.sort) found.sort(compare);
    order = found;
    const nodes = [];
    let room = state.most, left = 0;
    grouped(found).forEach(([value, members]) => {
      if (value !== null) nodes.push(groupRow(value, members));
      if (value !== null && state.folded.has(value)) return;
      members.forEach(i => {
        if (room-- <= 0) { left++; return; }
        const row = element(i), open = state.open.has(i);
        row.querySelector("button.open").setAttribute("aria-expanded", String(open));
        nodes.push(row);
        if (open) nodes.push(detailRow(i));
      });
    });
    body.replaceChildren(...nodes);
    dress();
    more.hidden = !left;
    more.querySelector("button").textContent = `Show ${Math.min(left, 4 * STEP)} more of ${left}`;
    said.textContent = found.length === rows.length ? `${rows.length} cells` : `${found.length} of ${rows.length} cells`;
    controls();
    toLink();
  };

  // The controls.
  const bar = $("cells-find");
  const search = make("input", {type: "search", placeholder: "Find", "aria-label": "Find text in the cells"});
  const menus = [];
  const groupBy = make("select", {"aria-label": "Group the cells"});
  const menu = (title, options) => {
    const list = make("div", {});
    const node = make("details", {class: "menu"}, make("summary", {}, title), list);
    options.forEach(({label, count, on, flip}) => {
      const box = make("input", {type: "checkbox"});
      box.addEventListener("change", () => { flip(box.checked); state.most = STEP; show(); });
      const line = make("label", {}, box, make("span", {}, label));
      if (count !== undefined) line.append(make("span", {class: "count"}, String(count)));
      list.append(line);
      menus.push(() => { box.checked = on(); });
    });
    node.addEventListener("keydown", event => {
      if (event.key === "Escape" && node.open) { node.open = false; node.querySelector("summary").focus(); }
    });
    return node;
  };
  const build = () => {
    bar.append(search);
    facets.forEach((f, k) => {
      if (f.values.length < 2) return;
      const counts = f.values.map((_, v) => rows.filter(row => row[k] === v).length);
      const node = menu(f.title, f.values.map((value, v) => ({
        label: value, count: counts[v], on: () => state.chosen[k].has(value),
        flip: on => { on ? state.chosen[k].add(value) : state.chosen[k].delete(value); },
      })));
      menus.push(() => node.classList.toggle("active", !same(state.chosen[k], new Set(f.preset))));
      bar.append(node);
    });
    bar.append(menu("columns", columns.map((c, k) => ({
      label: c.title, on: () => state.shownColumns.has(c.key),
      flip: on => { on || k === data.fixed ? state.shownColumns.add(c.key) : state.shownColumns.delete(c.key); },
    }))));
    groupBy.append(make("option", {value: ""}, "no groups"),
      ...facets.filter(f => f.values.length > 1).map(f => make("option", {value: f.key}, "group by " + f.title)));
    bar.append(groupBy);
    const sortBy = make("select", {"aria-label": "Sort the cells", class: "sortby"});
    sortBy.append(make("option", {value: ""}, "order of the run"), ...columns.flatMap(c => [
      make("option", {value: c.key}, `${c.title} ↑`), make("option", {value: "-" + c.key}, `${c.title} ↓`)]));
    sortBy.addEventListener("change", () => {
      const key = sortBy.value.replace(/^-/, "");
      state.sort = key ? {column: column(key), down: sortBy.value.startsWith("-")} : null;
      show();
    });
    menus.push(() => {
      sortBy.value = state.sort ? (state.sort.down ? "-" : "") + columns[state.sort.column].key : "";
    });
    bar.append(sortBy);
    const button = (text, act) => {
      const node = make("button", {type: "button"}, text);
      node.addEventListener("click", act);
      bar.append(node);
    };
    button("Copy CSV", () => copy(csv(), "CSV"));
    button("Copy Markdown", () => copy(markdown(), "Markdown"));
    button("Copy link", () => copy(location.href, "link"));
    button("Reset", () => { state = fresh(); show(); });
    search.addEventListener("input", () => { state.q = search.value; state.most = STEP; show(); });
    groupBy.addEventListener("change", () => { state.group = groupBy.value; state.folded.clear(); show(); });
    more.querySelector("button").addEventListener("click", () => { state.most += 4 * STEP; show(); });
    document.addEventListener("click", event => {
      document.querySelectorAll("details.menu[open]").forEach(m => { if (!m.contains(event.target)) m.open = false; });
    });
  };
  const controls = () => {
    if (search.value !== state.q) search.value = state.q;
    groupBy.value = state.group;
    menus.forEach(update => update());
  };

  // Copying what is found, in the order and the columns that are shown.
  const shownColumns = () => columns.map((c, k) => k).filter(k => state.shownColumns.has(columns[k].key));
  const textOf = cell => [...cell.childNodes].filter(n => !n.classList || !n.classList.contains("marks"))
    .map(n => n.textContent.trim()).filter(Boolean);
  const grid = () => order.map(i => shownColumns().map(k => {
    const [first = "", ...rest] = textOf(element(i).cells[k]);
    return rest.length ? `${first} (${rest.join(", ")})` : first;
  }));
  const titles = () => shownColumns().map(k => columns[k].unit ? `${columns[k].title} (${columns[k].unit})`
    : columns[k].title);
  // A spreadsheet would run a name that starts with one of these characters.
  const safe = text => /^[=+@\t\r-]/.test(text) && isNaN(text) ? "'" + text : text;
  const csv = () => [titles(), ...grid()].map(line => line.map(t => `"${safe(t).replaceAll('"', '""')}"`).join(","))
    .join("\r\n");
  const markdown = () => {
    const lines = [titles(), titles().map(() => "---"), ...grid()];
    return lines.map(line => `| ${line.map(t => t.replaceAll("|", "\\|").replaceAll("<", "&lt;")).join(" | ")} |`)
      .join("\n");
  };
  const copy = async (text, what) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea", {class: "unseen"});
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    said.textContent = what === "link" ? "The link is copied." : `${order.length} cells are copied as ${what}.`;
  };
  window.phonebench = {csv, markdown};

  table.tHead.addEventListener("click", event => {
    const head = event.target.closest("th");
    if (!event.target.closest("button") || !head) return;
    const c = head.cellIndex, now = state.sort && state.sort.column === c;
    state.sort = now && state.sort.down ? null : {column: c, down: Boolean(now)};
    show();
  });
  const flip = i => {
    state.open.has(i) ? state.open.delete(i) : state.open.add(i);
    show();
    element(i).querySelector("button.open").focus();
  };
  body.addEventListener("click", event => {
    const button = event.target.closest("button.open");
    if (button) flip(Number(button.closest("tr").dataset.row));
  });
  body.addEventListener("keydown", event => {
    const row = event.target.closest("tr.detail");
    if (event.key === "Escape" && row) flip(Number(row.id.slice("behind-".length)));
  });
  addEventListener("hashchange", () => { if (fromLink()) show(); });
  addEventListener("beforeprint", () => { state.most = rows.length; show(); });
  build();
  fromLink();
  show();
})();
