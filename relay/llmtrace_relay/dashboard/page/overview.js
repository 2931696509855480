// What happened lately: sums, a chart, and the models that were called.
import { get } from "./api.js";
import { chart } from "./chart.js";
import { choice, el, labelled, painter, table } from "./dom.js";
import { brief, count, day, dollars, hour, millis, utcDay } from "./format.js";

const RANGES = {
  "1h": { name: "last hour", seconds: 3600, every: 120, mark: hour },
  "24h": { name: "last 24 hours", seconds: 86_400, every: 3600, mark: hour },
  "7d": { name: "last 7 days", seconds: 7 * 86_400, every: 6 * 3600, mark: day },
  "30d": { name: "last 30 days", seconds: 30 * 86_400, every: 86_400, mark: utcDay },
};
const SUMS = ["spans", "blocked", "flagged", "errors", "findings", "prompt_tokens", "completion_tokens", "cost_usd", "duration_ms_sum"];

function added(buckets) {
  const sums = Object.fromEntries(SUMS.map((name) => [name, 0]));
  for (const bucket of buckets) for (const name of SUMS) sums[name] += bucket[name];
  return sums;
}

const share = (part, all) => (all ? `${((100 * part) / all).toFixed(part && part < all / 100 ? 1 : 0)} % of calls` : "");

function card(name, value, more, kind = "") {
  return el("li", { class: `card ${kind}` }, el("span", { class: "label" }, name), el("b", {}, value), el("small", {}, more));
}

function cards(sums) {
  const tokens = sums.prompt_tokens + sums.completion_tokens;
  return el("ul", { class: "cards" },
    card("Calls", brief(sums.spans), sums.findings === 1 ? "1 finding" : `${brief(sums.findings)} findings`),
    card("Blocked", brief(sums.blocked), share(sums.blocked, sums.spans), sums.blocked ? "bad" : ""),
    card("Flagged", brief(sums.flagged), share(sums.flagged, sums.spans), sums.flagged ? "warn" : ""),
    card("Errors", brief(sums.errors), share(sums.errors, sums.spans), sums.errors ? "warn" : ""),
    card("Tokens", brief(tokens), `${brief(sums.prompt_tokens)} in, ${brief(sums.completion_tokens)} out`),
    card("Cost", dollars(sums.cost_usd), sums.spans ? `${dollars(sums.cost_usd / sums.spans)} per call` : ""));
}

// One point for each piece of time from the first to the last, those without calls too.
function points(buckets, range, from, to) {
  const byStart = new Map(buckets.map((bucket) => [Date.parse(bucket.start) / 1000, bucket]));
  const starts = Array.from({ length: Math.floor((to - from) / range.every) + 1 }, (_, index) => from + index * range.every);
  return starts.map((start) => {
    const at = new Date(start * 1000);
    const bucket = byStart.get(start);
    const name = range.every < 86_400 ? `${day(at)}, ${hour(at)}` : `${utcDay(at)} (UTC)`;
    return { name, mark: range.mark(at), calls: bucket?.spans ?? 0, blocked: bucket?.blocked ?? 0 };
  });
}

function figure(found, range) {
  const sums = added(found.buckets);
  const all = points(found.buckets, range, found.from, found.to);
  const words = `Calls of the ${range.name}: ${count(sums.spans)}, of which ${count(sums.blocked)} were blocked`;
  const busy = all.filter((point) => point.calls);
  const columns = [
    ["Time", (point) => point.name],
    ["Calls", (point) => count(point.calls), "number"],
    ["Blocked", (point) => count(point.blocked), "number"],
  ];
  return el("section", { class: "panel" },
    el("div", { class: "head" }, el("h2", {}, "Calls over time"),
      el("span", { class: "legend" }, el("i", { class: "passed" }), "passed", el("i", { class: "blocked" }), "blocked")),
    chart(all, words),
    busy.length > 0 && el("details", { "data-key": "figures" },
      el("summary", { "data-key": "figures-summary" }, "The same as a table"), table("Calls over time", columns, busy)));
}

function models(buckets) {
  const rows = [...grouped(buckets)].map(([name, each]) => ({ name, ...added(each) })).sort((one, other) => other.spans - one.spans);
  return el("section", { class: "panel" }, el("h2", {}, "Models"), table("Models", [
    ["Model", (row) => row.name || "not known"],
    ["Calls", (row) => count(row.spans), "number"],
    ["Blocked", (row) => count(row.blocked), "number"],
    ["Errors", (row) => count(row.errors), "number"],
    ["Tokens", (row) => count(row.prompt_tokens + row.completion_tokens), "number"],
    ["Cost", (row) => dollars(row.cost_usd), "number"],
    ["Mean time", (row) => millis(Math.round(row.duration_ms_sum / row.spans)), "number"],
  ], rows));
}

function grouped(buckets) {
  const groups = new Map();
  for (const bucket of buckets) groups.set(bucket.group, [...(groups.get(bucket.group) ?? []), bucket]);
  return groups;
}

function nothing() {
  const base = new URL("../v1", import.meta.url).href;
  return el("section", { class: "panel empty" }, el("p", {}, "No calls in this time."),
    el("p", {}, "Clients whose base URL is ", el("code", {}, base), " call through this relay."));
}

export function overview(parameters, { go }) {
  let range = RANGES[parameters.range] ?? RANGES["24h"];
  const pick = choice("range", Object.entries(RANGES).map(([id, each]) => [id, each.name]), parameters.range ?? "24h");
  pick.addEventListener("change", () => go("overview", { range: pick.value === "24h" ? "" : pick.value }));
  const body = el("div");
  const paint = painter(body, (found) => found.buckets.length
    ? [cards(added(found.buckets)), figure(found, range), models(found.models)]
    : [cards(added([])), nothing()]);
  return {
    title: "Overview",
    element: el("div", {}, el("div", { class: "head" }, el("h1", {}, "Overview"), labelled("Time", pick)), body),
    set(changed) {
      range = RANGES[changed.range] ?? RANGES["24h"];
      pick.value = changed.range ?? "24h";
    },
    async load(signal) {
      const asked = range;
      const now = Math.floor(Date.now() / 1000);
      const period = { start_time: new Date((now - asked.seconds) * 1000).toISOString() };
      const [all, byModel] = await Promise.all([
        get("api/v1/series", { ...period, every: asked.every }, signal),
        get("api/v1/series", { ...period, every: 86_400, by: "model" }, signal),
      ]);
      const start = (at) => at - (at % asked.every);
      paint({ range: asked.name, from: start(now - asked.seconds), to: start(now), buckets: all.data, models: byModel.data });
    },
  };
}
