// Drawing on canvases and in SVG.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes))
    key.startsWith("on") ? made.addEventListener(key.slice(2), value) : made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The canvas at the screen's resolution, cleared, in CSS pixels.
function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

function ticks(low, high, wanted) {
  const raw = (high - low) / Math.max(1, wanted), power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) found.push(+value.toPrecision(12));
  return found;
}

const linear = (from, to) => {
  const slope = (to[1] - to[0]) / (from[1] - from[0]);
  const scale = (value) => to[0] + (value - from[0]) * slope;
  scale.back = (place) => from[0] + (place - to[0]) / slope;
  return scale;
};

function padded([low, high], share = 0.04) {
  const more = (high - low) * share;
  return [low - more, high + more];
}

// Axes of an SVG chart in a frame of (left, top, right, bottom).
function svgAxes(frame, x, y, names, counts = [6, 5]) {
  const [left, top, right, bottom] = frame, group = svg("g");
  const line = (x1, y1, x2, y2) => svg("line", { x1, y1, x2, y2, stroke: "var(--line)" });
  for (const value of ticks(x.back(left), x.back(right), counts[0])) {
    group.append(line(x(value), top, x(value), bottom));
    group.append(svg("text", { x: x(value), y: bottom + 16, "text-anchor": "middle", class: "soft" }, text(value, 4)));
  }
  for (const value of ticks(y.back(bottom), y.back(top), counts[1])) {
    group.append(line(left, y(value), right, y(value)));
    group.append(svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end", class: "soft" }, text(value, 4)));
  }
  group.append(svg("text", { x: right, y: bottom + 32, "text-anchor": "end", class: "soft" }, names[0]));
  group.append(svg("text", { x: left, y: top - 8, class: "soft" }, names[1]));
  return group;
}

function pathOf(points, x, y) {
  let drawn = "", lifted = true;
  for (const [across, up] of points) {
    if (across === null || up === null || up !== up) {
      lifted = true;
      continue;
    }
    drawn += `${lifted ? "M" : "L"}${x(across).toFixed(1)} ${y(up).toFixed(1)}`;
    lifted = false;
  }
  return drawn;
}

function tableOf(headings, rows) {
  const isNumber = headings.map((_, at) => rows.every((row) => typeof row[at] === "number" || row[at] === null));
  const cell = (tag, value, at) => el(tag, isNumber[at] ? { class: "n" } : {}, typeof value === "number" ? text(value, 4) : value ?? "–");
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, ...headings.map((name, at) => cell("th", name, at)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((value, at) => cell("td", value, at)))))));
}
