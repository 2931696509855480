// Traces, the newest first.
import { get } from "./api.js";
import { choice, el, labelled, painter, table } from "./dom.js";
import { count, cut, dollars, millis, when, words } from "./format.js";
import { PAGE, fillIn, filters, pageOf, pager } from "./paging.js";
import { OUTCOMES, fate, score } from "./trace_words.js";

const SHOWN = 140;
const SCORES = [["", "any"], ["1", "1 or more"], ["30", "30 or more"], ["60", "60 or more"], ["80", "80 or more"]];
const MONTH_S = 30 * 86_400;

// The sum of what is known; null where nothing is.
function sum(spans, name) {
  const known = spans.map((span) => span[name]).filter((value) => value !== null);
  return known.length ? known.reduce((one, other) => one + other, 0) : null;
}

// A trace as a row: the call that went worst speaks for it.
function row(trace) {
  const spans = trace.spans;
  const worst = spans.find((span) => span.outcome === "blocked")
    ?? spans.find((span) => span.outcome && span.outcome !== "complete") ?? spans[0];
  const scores = spans.map((span) => span.security_score).filter((value) => value !== null);
  const ends = spans.map((span) => Date.parse(span.end_time ?? span.start_time));
  return {
    id: trace.trace_id, at: trace.created_at, calls: spans.length, worst,
    models: [...new Set(spans.map((span) => span.model_name).filter(Boolean))].join(", "),
    text: cut(spans.find((span) => span.prompt)?.prompt ?? "", SHOWN),
    score: scores.length ? Math.max(...scores) : null,
    tokens: sum(spans, "total_tokens"),
    cost: sum(spans.filter((span) => span.billed), "estimated_cost_usd"),
    took: spans.length === 1 ? spans[0].duration_ms : Math.max(...ends) - Date.parse(trace.created_at),
  };
}

function list(found) {
  if (!found.data.length) return el("p", { class: "panel empty" }, "No trace matches.");
  const columns = [
    ["Time", (each) => el("a", { href: `#/trace/${each.id}`, "data-key": each.id }, when(each.at)), "time"],
    ["Model", (each) => each.models],
    ["Outcome", (each) => fate(each.worst)],
    ["Score", (each) => score(each.score), "number"],
    ["Prompt", (each) => el("span", {}, each.calls > 1 ? `${each.calls} calls: ` : "", each.text || "not kept"), "text"],
    ["Tokens", (each) => count(each.tokens), "number"],
    ["Cost", (each) => dollars(each.cost), "number"],
    ["Time taken", (each) => millis(each.took), "number"],
  ];
  return table("Traces, the newest first", columns, found.data.map(row), () => ({ class: "way" }));
}

function suggestions(id) {
  return el("datalist", { id });
}

// What there was lately, to choose from: these filters compare whole names.
async function suggest(element, by) {
  try {
    const start = new Date(Date.now() - MONTH_S * 1000).toISOString();
    const found = await get("api/v1/series", { start_time: start, every: MONTH_S, by });
    const names = new Set(found.data.map((bucket) => bucket.group).filter(Boolean));
    element.replaceChildren(...[...names].slice(0, 200).map((value) => el("option", { value })));
  } catch {
    // a convenience: without it names are typed in, and the list itself says what is wrong
  }
}

export function traces(parameters, { go }) {
  let asked = parameters;
  const models = suggestions("models");
  const providers = suggestions("providers");
  const input = (name, more = {}) => el("input", { name, type: "search", autocomplete: "off", maxlength: 512, ...more });
  const form = filters([
    labelled("Search prompts and answers", input("search")),
    labelled("Model", input("model", { list: "models" })),
    labelled("Provider", input("provider", { list: "providers" })),
    labelled("Outcome", choice("outcome", [["", "any"], ...OUTCOMES.map((name) => [name, words(name)])], "")),
    labelled("Score", choice("score", SCORES, "")),
  ], (values) => go("traces", values));
  fillIn(form, asked);
  const body = el("div");
  const paint = painter(body, (found) => [list(found), pager(found, (offset) => go("traces", { ...asked, offset: offset || "" }))]);
  suggest(models, "model");
  suggest(providers, "provider");
  return {
    title: "Traces",
    element: el("div", {}, el("h1", {}, "Traces"), form, models, providers, body),
    set(changed) {
      asked = changed;
      fillIn(form, asked);
    },
    async load(signal) {
      const { search, model, provider, outcome, score: least } = asked;
      paint(await get("api/v1/traces", {
        search, model, provider, outcome, security_score_min: least, limit: PAGE, offset: pageOf(asked),
      }, signal));
    },
  };
}
