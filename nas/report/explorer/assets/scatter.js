// Every architecture in two of its costs, with the front, its intervals and the proposals.

const scatter = document.getElementById("scatter");
let scatterScales = null, scatterDrag = null;

function drawScatter(seen) {
  const { context, width, height } = prepared(scatter);
  const frame = { left: 52, top: 12, right: width - 14, bottom: height - 40 };
  const whole = (key) => padded(extent(state.runs.map((run) => columnsOf(run)[key])));
  const x = linear(whole(state.x), [frame.left, frame.right]), y = linear(whole(state.y), [frame.bottom, frame.top]);
  scatterScales = { x, y, frame };
  drawGrid(context, x, y, frame);
  for (const one of seen) drawPoints(context, one, x, y);
  for (const one of seen) drawFront(context, one, x, y);
  if (scatterDrag?.now) {
    const { start, now } = scatterDrag;
    context.fillStyle = colour("a") + "22";
    context.fillRect(start[0], start[1], now[0] - start[0], now[1] - start[1]);
  }
}

function drawGrid(context, x, y, frame) {
  context.font = "12px system-ui, sans-serif";
  context.strokeStyle = colour("line");
  context.fillStyle = colour("soft");
  context.lineWidth = 1;
  context.textAlign = "center";
  for (const value of ticks(x.back(frame.left), x.back(frame.right), (frame.right - frame.left) / 90)) {
    line(context, x(value), frame.top, x(value), frame.bottom);
    context.fillText(text(value, 4), x(value), frame.bottom + 16);
  }
  context.textAlign = "right";
  for (const value of ticks(y.back(frame.bottom), y.back(frame.top), (frame.bottom - frame.top) / 60)) {
    line(context, frame.left, y(value), frame.right, y(value));
    context.fillText(text(value, 4), frame.left - 6, y(value) + 4);
  }
  context.fillText(costNames[state.x], frame.right, frame.bottom + 33);
  context.save();
  context.translate(12, frame.top);
  context.rotate(-Math.PI / 2);
  context.fillText(costNames[state.y], 0, 0);
  context.restore();
}

function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function drawPoints(context, { run, mask }, x, y) {
  const across = columnsOf(run)[state.x], up = columnsOf(run)[state.y], size = run.count > 3000 ? 2.4 : 3.4;
  for (const passes of [0, 1]) {
    context.fillStyle = passes ? colour(run.number ? "b" : "a") : colour("faint");
    context.globalAlpha = passes ? 0.45 : 0.35;
    for (let at = 0; at < run.count; at++)
      if (mask[at] === passes) context.fillRect(x(across[at]) - size / 2, y(up[at]) - size / 2, size, size);
  }
  context.globalAlpha = 1;
}

function drawFront(context, { run, front, knees }, x, y) {
  const across = columnsOf(run)[state.x], up = columnsOf(run)[state.y], own = colour(run.number ? "b" : "a");
  context.strokeStyle = context.fillStyle = own;
  context.lineWidth = 1.4;
  if (state.intervals && (state.y === "error" || state.x === "error")) {
    context.globalAlpha = 0.35;
    for (const at of front)
      if (state.y === "error") line(context, x(across[at]), Math.max(y(run.high[at]), 12), x(across[at]), Math.min(y(run.low[at]), scatterScales.frame.bottom));
      else line(context, Math.max(x(run.low[at]), 52), y(up[at]), Math.min(x(run.high[at]), scatterScales.frame.right), y(up[at]));
    context.globalAlpha = 1;
  }
  context.beginPath();
  front.forEach((at, number) => {
    if (number) context.lineTo(x(across[at]), y(up[front[number - 1]]));
    context[number ? "lineTo" : "moveTo"](x(across[at]), y(up[at]));
  });
  context.stroke();
  for (const at of front) dot(context, x(across[at]), y(up[at]), 3.6, own);
  context.font = "600 12px system-ui, sans-serif";
  context.textAlign = "left";
  knees.forEach((at, number) => {
    dot(context, x(across[at]), y(up[at]), 6, colour("card"), own);
    context.fillStyle = own;
    context.fillText("ABCDE"[number], x(across[at]) + 8, y(up[at]) - 7);
  });
  const chosen = run.index.get(run.chosen);
  if (chosen !== undefined) diamond(context, x(across[chosen]), y(up[chosen]), own);
  for (const [member, size] of [[state.hovered, 7], [state.selected, 9]])
    if (member && member.run === run.number) dot(context, x(across[member.at]), y(up[member.at]), size, null, colour("ink"));
}

function dot(context, x, y, size, fill, edge) {
  context.beginPath();
  context.arc(x, y, size, 0, 2 * Math.PI);
  if (fill) (context.fillStyle = fill), context.fill();
  if (edge) (context.strokeStyle = edge), (context.lineWidth = 2), context.stroke();
}

function diamond(context, x, y, edge) {
  context.beginPath();
  [[0, -8], [8, 0], [0, 8], [-8, 0]].forEach(([dx, dy], at) => context[at ? "lineTo" : "moveTo"](x + dx, y + dy));
  context.closePath();
  context.strokeStyle = edge;
  context.lineWidth = 2;
  context.stroke();
}

function nearest(place) {
  let best = 15 ** 2, found = null;
  for (const { run, mask } of seenNow) {
    const across = columnsOf(run)[state.x], up = columnsOf(run)[state.y];
    for (let at = 0; at < run.count; at++) {
      const distance = (scatterScales.x(across[at]) - place[0]) ** 2 + (scatterScales.y(up[at]) - place[1]) ** 2;
      if (distance + (mask[at] ? 0 : 40) < best) (best = distance + (mask[at] ? 0 : 40)), (found = { run: run.number, at });
    }
  }
  return found;
}

const placeIn = (canvas, event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

scatter.addEventListener("pointerdown", (event) => {
  scatterDrag = { start: placeIn(scatter, event), now: null };
  scatter.setPointerCapture(event.pointerId);
});
scatter.addEventListener("pointermove", (event) => {
  const place = placeIn(scatter, event);
  if (scatterDrag && Math.hypot(place[0] - scatterDrag.start[0], place[1] - scatterDrag.start[1]) > 5) {
    scatterDrag.now = place;
    drawScatter(seenNow);
    return;
  }
  const found = nearest(place);
  if (!isSame(found, state.hovered)) (state.hovered = found), drawScatter(seenNow);
  showTip(found, event);
});
scatter.addEventListener("pointerup", (event) => {
  const drag = scatterDrag;
  scatterDrag = null;
  if (drag?.now) {
    const { x, y } = scatterScales, [x1, y1] = drag.start, [x2, y2] = drag.now;
    state.ranges.set(state.x, [x.back(Math.min(x1, x2)), x.back(Math.max(x1, x2))]);
    state.ranges.set(state.y, [y.back(Math.max(y1, y2)), y.back(Math.min(y1, y2))]);
    refresh();
  } else {
    const found = nearest(placeIn(scatter, event));
    if (found) select(found);
  }
});
scatter.addEventListener("pointerleave", () => ((state.hovered = null), showTip(null), drawScatter(seenNow)));
scatter.addEventListener("dblclick", () => (state.ranges.clear(), refresh()));
scatter.addEventListener("keydown", (event) => {
  const { run, front } = seenNow[state.selected?.run ?? 0], step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (event.key === "Escape") return state.ranges.clear(), refresh();
  if (!step || !front.length) return;
  event.preventDefault();
  const at = front.indexOf(state.selected?.at ?? -1);
  select({ run: run.number, at: front[at < 0 ? 0 : Math.min(front.length - 1, Math.max(0, at + step))] });
});

function showTip(member, event) {
  const tip = document.getElementById("tip");
  tip.hidden = !member;
  if (!member) return;
  const run = state.runs[member.run], at = member.at;
  tip.replaceChildren(
    el("b", {}, memberName(run, at)), state.runs.length > 1 ? ` · ${run.name}` : "",
    ...costKeys.map((key) => el("div", {}, `${costNames[key]}: ${text(columnsOf(run)[key][at], 4)}`)),
    el("div", { class: "mono" }, run.archs.arch[at]));
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8)}px`;
}
