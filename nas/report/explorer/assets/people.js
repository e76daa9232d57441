// Test subjects: errors by person, activity and heart rate, risk against coverage, and traces.

const tested = { run: 0, estimator: null, recording: 0 };

function showPeople() {
  const section = document.getElementById("people"), withTests = state.runs.filter((run) => run.test);
  section.hidden = !withTests.length;
  if (!withTests.length) return;
  const run = withTests.find((one) => one.number === tested.run) ?? withTests[0], { test } = run, names = Object.keys(test.estimators);
  if (!names.includes(tested.estimator)) tested.estimator = names.includes("int8 subnet") ? "int8 subnet" : names[0];
  const shown = test.estimators[tested.estimator];
  const chooser = (label, options, value, take) => el("label", {}, `${label} `, el("select", { onchange: (event) => (take(event.target.value), showPeople()) },
    ...options.map(([key, name]) => el("option", String(key) === String(value) ? { value: key, selected: "" } : { value: key }, name))));
  section.replaceChildren(
    el("div", { class: "bar" }, el("h2", {}, "Test subjects, read for the first time after the search"),
      withTests.length > 1 ? chooser("Run", withTests.map((one) => [one.number, one.name]), run.number, (value) => (tested.run = +value)) : null,
      chooser("Estimator", names.map((name) => [name, name]), tested.estimator, (value) => (tested.estimator = value))),
    run.is_synthetic ? el("p", { class: "note" }, "Simulated recordings: these figures show that the chain works; they say nothing about people.") : "",
    el("div", { class: "split" }, peopleChart(shown.people, test.error_name, run), riskChart(test, run), ...groupTables(shown.groups)),
    ...(test.traces.length ? traceOf(test.traces, chooser, run) : []));
}

function peopleChart(people, name, run) {
  const rows = Object.entries(people).sort((a, b) => b[1] - a[1]), step = Math.max(11, Math.min(20, 420 / rows.length));
  const height = 34 + rows.length * step, x = linear([0, Math.max(1e-9, ...rows.map((row) => row[1])) * 1.12], [150, 540]);
  const drawn = svg("svg", { viewBox: `0 0 560 ${height}`, width: 560, role: "img", "aria-label": name });
  drawn.append(svg("text", { x: 150, y: 14, class: "soft" }, `${name}, person by person`));
  rows.forEach(([person, error], at) => {
    const y = 22 + at * step, size = `font-size:${Math.min(12, step)}px`;
    drawn.append(svg("text", { x: 144, y: y + step - 3, "text-anchor": "end", style: size }, person.length > 24 ? `…${person.slice(-23)}` : person));
    drawn.append(svg("rect", { x: 150, y: y + 1, width: Math.max(0.5, x(error) - 150), height: step - 3, fill: `var(--${run.number ? "b" : "a"})`, opacity: 0.75 }));
    drawn.append(svg("text", { x: x(error) + 4, y: y + step - 3, class: "soft", style: size }, text(error)));
  });
  return drawn;
}

function riskChart(test, run) {
  const curves = Object.entries(test.estimators).flatMap(([name, found]) => Object.entries(found.risk).map(([source, curve]) => ({ name, source, ...curve })));
  const own = curves.filter((curve) => curve.name === tested.estimator);
  if (!own.length) return "";
  const frame = [46, 30, 540, 260], most = Math.max(...own.flatMap((curve) => curve.mae_bpm));
  const x = linear([0, 1], [frame[0], frame[2]]), y = linear([0, most * 1.08], [frame[3], frame[1]]);
  const drawn = svg("svg", { viewBox: "0 0 560 300", width: 560, role: "img", "aria-label": "Risk against coverage" });
  drawn.append(svgAxes(frame, x, y, ["share of windows kept, surest first", `${run.error_name} of what is kept`]));
  own.forEach((curve, at) => {
    const stroke = `var(--${["a", "b", "good"][at % 3]})`, points = curve.coverage.map((share, number) => [share, curve.mae_bpm[number]]);
    drawn.append(svg("path", { d: pathOf(points, x, y), fill: "none", stroke, "stroke-width": 2 }));
    drawn.append(svg("text", { x: 60, y: 46 + 15 * at, style: `fill:${stroke}` }, curve.source));
  });
  return drawn;
}

function groupTables(groups) {
  const titles = { activity: "By activity", band: "By heart rate, BPM" };
  return Object.entries(groups).filter(([, rows]) => rows.length).map(([kind, rows]) => {
    const sorted = kind === "band" ? [...rows].sort((a, b) => parseInt(a.group) - parseInt(b.group)) : rows;
    return el("div", {}, el("h3", {}, titles[kind]), tableOf(["", "MAE, BPM", "95 %", "people", "windows"],
      sorted.map((row) => [row.group, row.mae_bpm?.value ?? null, row.mae_bpm ? `${text(row.mae_bpm.low)} to ${text(row.mae_bpm.high)}` : null, row.subjects, row.windows])));
  });
}

function traceOf(traces, chooser, run) {
  tested.recording = Math.min(tested.recording, traces.length - 1);
  const trace = traces[tested.recording], names = Object.keys(trace.estimates), frame = [46, 30, 1290, 250];
  const series = [["reference", trace.reference, "var(--ink)"], ...names.map((name, at) => [name, trace.estimates[name], `var(--${["a", "b", "faint"][at % 3]})`])];
  const values = series.flatMap((one) => one[1]).filter((value) => value !== null), low = Math.min(...values), high = Math.max(...values);
  const x = linear([trace.time_s[0], Math.max(trace.time_s.at(-1), trace.time_s[0] + 1)], [frame[0], frame[2]]);
  const y = linear(padded([low, high + 1e-9], 0.08), [frame[3], frame[1]]);
  const drawn = svg("svg", { viewBox: "0 0 1300 290", width: 1300, style: "min-width:620px", role: "img", "aria-label": "Estimates over time" });
  drawn.append(svgAxes(frame, x, y, ["time, s", run.unit], [12, 5]));
  trace.valid.forEach((valid, at) => {
    if (!valid) drawn.append(svg("rect", { x: x(trace.time_s[at]) - 1, y: frame[3] - 5, width: 3, height: 5, fill: "var(--b)", opacity: 0.6 }));
  });
  for (const [, column, stroke] of series.slice(1).concat([series[0]]))
    drawn.append(svg("path", { d: pathOf(column.map((value, at) => [trace.time_s[at], value]), x, y), fill: "none", stroke, "stroke-width": 1.6 }));
  series.forEach(([name, , stroke], at) => drawn.append(svg("text", { x: 110 + at * 190, y: 16, style: `fill:${stroke}` }, name)));
  return [
    el("div", { class: "bar" }, el("h3", {}, `Trace${trace.activity.length ? `: ${trace.activity.slice(0, 4).join(", ")}` : ""}`),
      chooser("Recording", traces.map((one, at) => [at, one.name]), tested.recording, (value) => (tested.recording = +value))),
    el("div", { class: "scroll" }, drawn),
    el("p", { class: "note" }, "Marks along the foot: windows that the int8 subnet calls invalid.")];
}
