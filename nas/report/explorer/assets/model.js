// What is looked at, apart from how it is drawn: runs as columns, what passes, fronts and proposals.

const page = JSON.parse(document.getElementById("records").textContent);
const costNames = { error: null, latency_ms: "Latency, ms", flash_kb: "Flash, KB", ram_kb: "RAM, KB", energy_mj: "Energy, mJ" };
const costKeys = Object.keys(costNames);
const optionOf = { latency_ms: "--max-latency-ms", flash_kb: "--max-flash-kb", ram_kb: "--max-ram-kb" };

const state = {
  x: "latency_ms", y: "error", device: null, limits: {}, ranges: new Map(), merge: true, intervals: true,
  selected: null, hovered: null, runs: [],
};

function makeRun(record, number) {
  const numbers = (values) => Float64Array.from(values, (value) => (value === null ? NaN : value));
  const { archs } = record;
  const costs = {};
  for (const [device, columns] of Object.entries(record.costs)) {
    costs[device] = { error: numbers(archs.error) };
    for (const key of costKeys.slice(1)) costs[device][key] = numbers(columns[key]);
  }
  const genes = record.genes.map((gene, at) => ({ ...gene, column: Uint16Array.from(archs.genes, (row) => row[at]) }));
  const index = new Map(archs.id.map((id, at) => [id, at]));
  // A page in its run knows where that is by where it is itself.
  const path = record.path ?? decodeURIComponent(location.pathname.replace(/\/[^/]*$/, ""));
  return { ...record, path, number, count: archs.id.length, costs, genes, index, low: numbers(archs.low), high: numbers(archs.high) };
}

function takeRecords(records) {
  state.runs = records.map(makeRun);
  const [first] = state.runs;
  costNames.error = `Error (${first.error_name})`;
  if (!devices().includes(state.device)) state.device = first.device;
}

const devices = () => Object.keys(state.runs[0].costs).filter((name) => state.runs.every((run) => name in run.costs));
const columnsOf = (run) => run.costs[state.device];

// Axes of the parallel coordinates: costs, then genes of which there is a choice and that all runs share.
function axes() {
  const found = costKeys.map((key) => ({ key, name: costNames[key], of: (run) => columnsOf(run)[key] }));
  const [first] = state.runs;
  first.genes.forEach((gene, at) => {
    const shared = state.runs.every((run) => run.genes[at]?.name === gene.name);
    if (shared && gene.values.length > 1)
      found.push({ key: `gene ${at}`, name: gene.name, values: gene.values, of: (run) => run.genes[at].column });
  });
  for (const axis of found) {
    axis.low = 0;
    axis.high = axis.values ? Math.max(...state.runs.map((run) => run.genes[+axis.key.slice(5)].values.length)) - 1 : 0;
    if (!axis.values) [axis.low, axis.high] = extent(state.runs.map((run) => axis.of(run)));
  }
  return found;
}

function extent(columns) {
  let low = Infinity, high = -Infinity;
  for (const column of columns)
    for (const value of column) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  return low < high ? [low, high] : [low - 0.5, low + 0.5];
}

// 1 for each architecture within all budgets and ranges.
function passing(run) {
  const mask = new Uint8Array(run.count).fill(1);
  const keep = (column, low, high) => {
    for (let at = 0; at < mask.length; at++) if (!(column[at] >= low && column[at] <= high)) mask[at] = 0;
  };
  for (const [key, limit] of Object.entries(state.limits)) if (limit !== null) keep(columnsOf(run)[key], -Infinity, limit);
  for (const axis of axesNow) {
    const range = state.ranges.get(axis.key);
    if (range) keep(axis.of(run), ...range);
  }
  return mask;
}

// Members that no other one betters in both columns, from left to right.
function frontOf(run, mask) {
  const across = columnsOf(run)[state.x], up = columnsOf(run)[state.y];
  const order = [];
  for (let at = 0; at < mask.length; at++) if (mask[at] && across[at] === across[at] && up[at] === up[at]) order.push(at);
  order.sort((a, b) => across[a] - across[b] || up[a] - up[b] || a - b);
  let best = Infinity;
  return order.filter((at) => up[at] < best && ((best = up[at]), true));
}

// Of members whose errors cannot be told apart, the quickest alone.
function withoutTies(run, front) {
  const kept = new Set(front);
  return front.filter((at) => {
    const quicker = run.index.get(run.ties[run.archs.id[at]]?.[0]);
    return quicker === undefined || !kept.has(quicker);
  });
}

// Three to five members whose dominated area in the front's own rectangle is largest: exact, by dynamic programming.
function proposals(run, front) {
  if (front.length < 4) return front.slice();
  const stride = Math.ceil(front.length / 250), points = front.filter((_, at) => at % stride === 0);
  const across = columnsOf(run)[state.x], up = columnsOf(run)[state.y];
  const scaled = (column) => {
    const [low, high] = extent([points.map((at) => column[at])]);
    return points.map((at) => (column[at] - low) / (high - low));
  };
  const xs = scaled(across), ys = scaled(up), wanted = points.length > 12 ? 5 : points.length > 6 ? 4 : 3, edge = 1.05;
  // area[i]: of the best choice that ends in i, all but the strip to the right of i; from[k][i]: which one came before.
  let area = points.map(() => 0);
  const from = [];
  for (let k = 1; k < wanted; k++) {
    const next = points.map(() => -Infinity), before = points.map(() => -1);
    for (let i = k; i < points.length; i++)
      for (let j = k - 1; j < i; j++) {
        const value = area[j] + (xs[i] - xs[j]) * (edge - ys[j]);
        if (value > next[i]) (next[i] = value), (before[i] = j);
      }
    area = next;
    from.push(before);
  }
  const totals = area.map((value, i) => value + (edge - xs[i]) * (edge - ys[i]));
  let at = totals.indexOf(Math.max(...totals));
  const chosen = [points[at]];
  for (const before of from.reverse()) chosen.push(points[(at = before[at])]);
  return chosen.reverse();
}

function text(value, digits = 3) {
  if (value === null || value === undefined || value !== value) return "–";
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(digits));
}

const memberName = (run, at) => run.archs.id[at];
const isSame = (one, other) => one && other && one.run === other.run && one.at === other.at;

function searchCommand(run) {
  const parts = [`ppg-nas search ${quoted(run.path)}`];
  if (state.device !== run.device) parts.push(`--device ${state.device}`);
  for (const [key, limit] of Object.entries(state.limits))
    if (limit !== null && optionOf[key]) parts.push(`${optionOf[key]} ${text(limit, 4)}`);
  return parts.join(" ");
}

const quoted = (path) => (/^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);
