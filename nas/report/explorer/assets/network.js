// One architecture: its figures, the commands that go on with it, and its layers drawn.

function showMember() {
  const section = document.getElementById("member");
  if (!state.selected) {
    section.replaceChildren(el("h2", {}, "Architecture"), el("p", { class: "note" }, "Click a point, or walk along the front with the arrow keys."));
    return;
  }
  const run = state.runs[state.selected.run], at = state.selected.at, id = memberName(run, at), costs = columnsOf(run);
  const fact = (name, value, small = "") => el("div", {}, el("dt", {}, name), el("dd", {}, value, el("small", {}, small)));
  const tie = run.ties[id], quicker = run.index.get(tie?.[0]);
  section.replaceChildren(
    el("div", { class: "bar" }, el("h2", {}, `Architecture ${id}${id === run.chosen ? ", the chosen one" : ""}`), state.runs.length > 1 ? el("span", {}, run.name) : null),
    el("p", { class: "mono" }, run.archs.arch[at]),
    el("dl", { class: "facts" },
      fact(costNames.error, text(run.archs.error[at], 4), ` ${text(run.low[at])} to ${text(run.high[at])}`),
      ...costKeys.slice(1).map((key) => fact(costNames[key], text(costs[key][at], 4))),
      ...run.genes.slice(0, 3).map((gene) => fact(gene.name, gene.values[gene.column[at]]))),
    quicker === undefined ? "" : el("p", { class: "note" }, "Its error cannot be told from that of a quicker member: ",
      el("button", { type: "button", onclick: () => select({ run: run.number, at: quicker }) }, memberName(run, quicker)), " (paired bootstrap over subjects, 95 %)."),
    command(`ppg-nas export ${quoted(run.path)} --arch ${id} --out firmware`),
    command(searchCommand(run)),
    ...layersOf(run, id));
}

function command(line) {
  const copy = el("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(line);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1200);
  });
  return el("div", { class: "command" }, el("code", {}, line), copy);
}

function layersOf(run, id) {
  const rows = run.layers[id];
  if (!rows) return [el("p", { class: "note" }, "Its layers: "), command(`ppg-nas explain ${quoted(run.path)} ${id}`)];
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  const heading = `Layers on ${run.device}: ${text(sum("macs"))} MACs, ${text(sum("cycles"))} cycles, ${text(sum("flash_bytes"))} bytes of weights, arena of ${text(Math.max(...rows.map((row) => row.ram_bytes)))} bytes`;
  return [el("h3", {}, heading), el("div", { class: "scroll" }, drawLayers(rows))];
}

// A box a layer from top to bottom, skips at the left, and bars of what each takes at the right.
function drawLayers(rows) {
  const step = 30, top = 26, boxLeft = 70, boxWidth = 330, height = top + rows.length * step + 8;
  const columns = [["MACs", "macs"], ["cycles", "cycles"], ["weights, bytes", "flash_bytes"], ["arena, bytes", "ram_bytes"]];
  const drawn = svg("svg", { viewBox: `0 0 1010 ${height}`, width: 1010, style: "min-width:760px", role: "img", "aria-label": "The layers of the network" });
  const place = new Map(rows.map((row, at) => [row.name, top + at * step + step / 2 - 3]));
  rows.forEach((row, at) => {
    const y = top + at * step, isLast = at === rows.length - 1;
    drawn.append(svg("rect", { x: boxLeft, y, width: boxWidth, height: step - 7, rx: 4, fill: "var(--wash)", stroke: "var(--faint)" }));
    drawn.append(svg("text", { x: boxLeft + 8, y: y + 15 }, `${row.kind} ${row.detail}`));
    drawn.append(svg("text", { x: boxLeft + 170, y: y + 15, class: "soft" }, `${row.length_out} × ${row.channels_out}`));
    drawn.append(svg("text", { x: boxLeft + boxWidth - 6, y: y + 15, class: "soft", "text-anchor": "end" }, row.name.replace("stage", "").replace("block", "")));
    if (!isLast) drawn.append(svg("line", { x1: boxLeft + 40, y1: y + step - 7, x2: boxLeft + 40, y2: y + step, stroke: "var(--faint)" }));
    for (const source of row.sources.slice(0, -1)) {
      const from = place.get(source) ?? top - 8, to = place.get(row.name), out = 12 + Math.min(44, (to - from) / 6);
      drawn.append(svg("path", { d: `M${boxLeft} ${from}C${boxLeft - out} ${from} ${boxLeft - out} ${to} ${boxLeft} ${to}`, fill: "none", stroke: "var(--a)", "stroke-width": 1.5 }));
    }
  });
  columns.forEach(([name, key], number) => {
    const left = boxLeft + boxWidth + 20 + number * 146, width = 82, most = Math.max(1, ...rows.map((row) => row[key]));
    drawn.append(svg("text", { x: left, y: 14, class: "soft" }, name));
    rows.forEach((row, at) => {
      const y = top + at * step, length = (width * row[key]) / most, fill = key === "ram_bytes" ? "var(--good)" : "var(--a)";
      drawn.append(svg("rect", { x: left, y: y + 3, width: Math.max(0.5, length), height: step - 13, fill, opacity: 0.75 }));
      drawn.append(svg("text", { x: left + length + 4, y: y + 16 }, row[key].toLocaleString("en")));
    });
  });
  return drawn;
}
