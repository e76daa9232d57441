// What happens when: selections, budgets, devices, news from the server.

let axesNow = [], seenNow = [];
const byId = (id) => document.getElementById(id);

function refresh() {
  seenNow = state.runs.map((run) => {
    const mask = passing(run), whole = frontOf(run, mask);
    return { run, mask, front: state.merge ? withoutTies(run, whole) : whole, knees: proposals(run, whole) };
  });
  drawScatter(seenNow);
  drawParallel(seenNow);
  showCount();
  showKnees();
}

function showCount() {
  const parts = seenNow.map(({ run, mask, front }) => {
    const passed = mask.reduce((sum, one) => sum + one, 0);
    const name = state.runs.length > 1 ? `${run.name}: ` : "";
    return `${name}${passed.toLocaleString("en")} of ${run.count.toLocaleString("en")} architectures pass, ${front.length} on the front`;
  });
  byId("count").textContent = `${parts.join("; ")}. Diamond: chosen. Drag a box to keep what is in it, double-click to let go.`;
}

function showKnees() {
  byId("knees").replaceChildren(...seenNow.flatMap(({ run, knees }) => knees.map((at, number) =>
    el("li", {}, el("button", { type: "button", onclick: () => select({ run: run.number, at }) },
      el("b", { style: `color:var(--${run.number ? "b" : "a"})` }, "ABCDE"[number]),
      el("span", {}, [state.y, state.x].map((key) => `${text(columnsOf(run)[key][at])} ${costNames[key].split(", ").at(-1).replace(/^Error.*, |\).*/g, "").replace(")", "")}`).join(", ")))))));
}

function select(member) {
  state.selected = member;
  drawScatter(seenNow);
  drawParallel(seenNow);
  showMember();
}

function showSliders() {
  byId("sliders").replaceChildren(...costKeys.map((key) => {
    const [low, high] = extent(state.runs.map((run) => columnsOf(run)[key])), limit = state.limits[key] ?? null;
    const said = el("output", {}, limit === null ? "any" : `≤ ${text(limit)}`);
    const slider = el("input", { type: "range", min: 0, max: 1000, value: limit === null ? 1000 : Math.round((1000 * (limit - low)) / (high - low)), "aria-label": costNames[key] });
    slider.addEventListener("input", () => {
      const share = +slider.value / 1000;
      state.limits[key] = share >= 1 ? null : low + share * (high - low);
      said.textContent = state.limits[key] === null ? "any" : `≤ ${text(state.limits[key])}`;
      refresh();
    });
    slider.addEventListener("change", showMember);
    return el("div", { class: "slider" }, el("span", {}, costNames[key]), said, slider);
  }));
}

function showAll() {
  axesNow = axes();
  const [first, second] = state.runs;
  byId("title").textContent = state.runs.map((run) => run.name).join(" and ");
  byId("lead").textContent = second
    ? `${first.count.toLocaleString("en")} and ${second.count.toLocaleString("en")} evaluated architectures; ${first.name} in blue, ${second.name} in orange`
    : `${first.count.toLocaleString("en")} evaluated architectures${first.is_synthetic ? ", on simulated recordings" : ""}; errors are of inherited weights on validation subjects, with 95 % intervals over subjects`;
  byId("made").textContent = page.made;
  const choices = (id, options, value) => byId(id).replaceChildren(...options.map(([key, name]) => el("option", key === value ? { value: key, selected: "" } : { value: key }, name)));
  choices("device", devices().map((name) => [name, name]), state.device);
  for (const id of ["x", "y"]) choices(id, Object.entries(costNames), state[id]);
  showSliders();
  refresh();
  showMember();
  showPeople();
}

function startWith(records) {
  takeRecords(records);
  const [first] = state.runs;
  if (!state.selected || state.selected.at >= state.runs[state.selected.run]?.count) {
    const at = first.index.get(first.chosen);
    state.selected = at === undefined ? null : { run: 0, at };
  }
  showAll();
}

function setTheme(isDark) {
  document.documentElement.classList.toggle("dark", isDark);
  byId("theme").textContent = isDark ? "Light" : "Dark";
  if (seenNow.length) refresh();
}

for (const id of ["x", "y"]) byId(id).addEventListener("change", (event) => ((state[id] = event.target.value), refresh()));
byId("device").addEventListener("change", (event) => ((state.device = event.target.value), state.ranges.clear(), showAll()));
for (const id of ["merge", "intervals"]) byId(id).addEventListener("change", (event) => ((state[id] = event.target.checked), refresh()));
byId("reset").addEventListener("click", () => ((state.limits = {}), state.ranges.clear(), showSliders(), refresh(), showMember()));
byId("theme").addEventListener("click", () => setTheme(!document.documentElement.classList.contains("dark")));
window.addEventListener("resize", () => (drawScatter(seenNow), drawParallel(seenNow)));
window.addEventListener("beforeprint", () => setTheme(false));
setTheme(location.hash === "#dark" || window.matchMedia("(prefers-color-scheme: dark)").matches);
startWith(page.runs);

if (page.poll_s) {
  let known = "";
  setInterval(async () => {
    const answer = await fetch(`records?${known}`).catch(() => null);
    if (answer?.status !== 200) return;
    const news = await answer.json();
    const chosen = state.selected && memberName(state.runs[state.selected.run], state.selected.at);
    known = news.state;
    takeRecords(news.runs);
    const at = chosen && state.runs[state.selected.run].index.get(chosen);
    state.selected = at === undefined || at === null ? null : { run: state.selected.run, at };
    showAll();
  }, 1000 * page.poll_s);
}
