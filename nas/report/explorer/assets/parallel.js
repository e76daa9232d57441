// Parallel coordinates over costs and genes. A drag along an axis keeps a range of it, a click lets go of it.

const parallel = document.getElementById("parallel");
const mostLines = 1500;
let parallelPlaces = [], parallelDrag = null;

function drawParallel(seen) {
  parallel.style.minWidth = `${axesNow.length * 66}px`;
  const { context, width, height } = prepared(parallel), top = 44, bottom = height - 22, gap = width / axesNow.length;
  parallelPlaces = axesNow.map((axis, at) => ({
    axis, x: gap * (at + 0.5), scale: linear(axis.low < axis.high ? [axis.low, axis.high] : [axis.low - 1, axis.low + 1], [bottom, top]),
  }));
  let drawn = 0, passed = 0;
  for (const one of seen) {
    const rows = [];
    for (let at = 0; at < one.run.count; at++) if (one.mask[at]) rows.push(at);
    passed += rows.length;
    const stride = Math.max(1, rows.length / mostLines);
    const some = rows.filter((_, at) => Math.floor(at / stride) !== Math.floor((at - 1) / stride));
    drawn += some.length;
    context.lineWidth = 1;
    context.globalAlpha = Math.max(0.05, Math.min(0.5, 60 / some.length));
    lines(context, one.run, some, colour(one.run.number ? "b" : "a"));
    context.globalAlpha = 0.9;
    context.lineWidth = 1.3;
    lines(context, one.run, one.front, colour("good"));
  }
  context.globalAlpha = 1;
  if (state.selected) {
    context.lineWidth = 2.4;
    lines(context, state.runs[state.selected.run], [state.selected.at], colour("ink"));
  }
  for (const place of parallelPlaces) drawAxis(context, place, gap, top, bottom);
  const part = drawn < passed ? `${drawn.toLocaleString("en")} of them drawn; ` : "";
  document.getElementById("drawn").textContent = `${passed.toLocaleString("en")} pass; ${part}green: the front. Drag along an axis to keep a range.`;
}

function lines(context, run, rows, stroke) {
  const columns = parallelPlaces.map(({ axis }) => axis.of(run));
  context.strokeStyle = stroke;
  context.beginPath();
  for (const at of rows)
    parallelPlaces.forEach(({ x, scale }, number) => context[number ? "lineTo" : "moveTo"](x, scale(columns[number][at])));
  context.stroke();
}

function drawAxis(context, { axis, x, scale }, gap, top, bottom) {
  context.strokeStyle = colour("faint");
  context.lineWidth = 1.2;
  line(context, x, top, x, bottom);
  const range = state.ranges.get(axis.key), limit = state.limits[axis.key];
  const kept = range ?? (limit !== null && limit !== undefined ? [axis.low, limit] : null);
  if (kept) {
    const high = scale(Math.min(kept[1], axis.high)), low = scale(Math.max(kept[0], axis.low));
    context.fillStyle = colour("a") + "55";
    context.fillRect(x - 6, high - 2, 12, low - high + 4);
  }
  context.fillStyle = colour("ink");
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  const words = axis.name.replace(/ \(.*/, "").split(/(?<=,) | (?=width)/);
  words.forEach((word, at) => context.fillText(word, x, 13 + 13 * at, gap - 4));
  context.fillStyle = colour("soft");
  const label = (value) => (axis.values ? axis.values[value] ?? value : text(value));
  context.fillText(label(axis.high), x, top - 4, gap - 4);
  context.fillText(label(axis.low), x, bottom + 14, gap - 4);
}

function axisAt(place) {
  const found = parallelPlaces.find(({ x }) => Math.abs(x - place[0]) < 18);
  return found ?? null;
}

parallel.addEventListener("pointerdown", (event) => {
  const place = placeIn(parallel, event), found = axisAt(place);
  if (!found) return;
  parallelDrag = { ...found, start: place[1], moved: false };
  parallel.setPointerCapture(event.pointerId);
});
parallel.addEventListener("pointermove", (event) => {
  const place = placeIn(parallel, event);
  parallel.style.cursor = axisAt(place) ? "ns-resize" : "default";
  if (!parallelDrag || (!parallelDrag.moved && Math.abs(place[1] - parallelDrag.start) < 4)) return;
  parallelDrag.moved = true;
  const ends = [parallelDrag.start, place[1]].map(parallelDrag.scale.back).sort((a, b) => a - b);
  const slack = parallelDrag.axis.values ? 0.4 : 0;
  state.ranges.set(parallelDrag.axis.key, [ends[0] - slack, ends[1] + slack]);
  refresh();
});
parallel.addEventListener("pointerup", () => {
  if (parallelDrag && !parallelDrag.moved) state.ranges.delete(parallelDrag.axis.key), refresh();
  parallelDrag = null;
});
