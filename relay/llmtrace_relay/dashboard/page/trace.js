// One trace: its calls in the order in which they began.
import { get } from "./api.js";
import { badge, el, facts, painter, svg, table } from "./dom.js";
import { count, dollars, millis, when, words } from "./format.js";
import { fate, score, severity } from "./trace_words.js";

const WIDE = 1000;

// When a call began and ended within its trace, and when its first token came.
function timing(span, from, to) {
  const scale = WIDE / Math.max(to - from, 1);
  const start = (Date.parse(span.start_time) - from) * scale;
  const whole = Math.max((Date.parse(span.end_time ?? span.start_time) - Date.parse(span.start_time)) * scale, 2);
  const first = Math.min((span.time_to_first_token_ms ?? 0) * scale, whole);
  const words_ = `took ${millis(span.duration_ms) || "an unknown time"}`;
  const token = span.time_to_first_token_ms === null ? "" : `, first token after ${millis(span.time_to_first_token_ms)}`;
  return svg("svg", { class: "timing", role: "img", viewBox: `0 0 ${WIDE} 10`, preserveAspectRatio: "none", "aria-label": words_ + token },
    svg("rect", { class: "track", width: WIDE, height: 10 }),
    svg("rect", { class: "passed", x: start, width: whole, height: 10 }),
    first > 0 && svg("rect", { class: "waited", x: start, width: first, height: 10 }));
}

function text(title, value, missing) {
  return el("section", {}, el("h3", {}, title),
    value ? el("pre", { tabindex: 0, "aria-label": title }, value) : el("p", { class: "dim" }, missing));
}

function findings(span) {
  if (!span.security_findings.length) return el("p", { class: "dim" }, "Nothing was found.");
  return table("Findings", [
    ["Severity", (found) => severity(found.severity)],
    ["Type", (found) => words(found.finding_type)],
    ["What", (found) => found.description, "text"],
    ["Rule", (found) => found.metadata.rule, "name"],
    ["Where", (found) => [found.metadata.phase, found.location].filter(Boolean).join(" "), "name"],
    ["Confidence", (found) => `${Math.round(found.confidence_score * 100)} %`, "number"],
  ], span.security_findings);
}

function actions(span) {
  if (!span.agent_actions.length) return [];
  return [el("h3", {}, "Actions of the agent"), table("Actions of the agent", [
    ["Time", (each) => when(each.timestamp)],
    ["Kind", (each) => words(each.action_type)],
    ["Name", (each) => each.name],
    ["Arguments", (each) => each.arguments, "text"],
    ["Result", (each) => each.result, "text"],
    ["Success", (each) => (each.success ? "yes" : "no")],
    ["Time taken", (each) => millis(each.duration_ms), "number"],
  ], span.agent_actions)];
}

function events(span) {
  if (!span.events.length) return [];
  return [el("h3", {}, "Events"), table("Events", [
    ["Time", (each) => when(each.timestamp)],
    ["Kind", (each) => words(each.event_type)],
    ["What", (each) => each.description, "text"],
  ], span.events)];
}

function call(span, from, to) {
  const tokens = span.total_tokens === null ? ""
    : `${count(span.total_tokens)} (${count(span.prompt_tokens ?? 0)} in, ${count(span.completion_tokens ?? 0)} out)`;
  return el("article", { class: "panel" },
    el("div", { class: "head" }, el("h2", {}, span.model_name || span.operation_name), fate(span), score(span.security_score)),
    timing(span, from, to),
    facts([
      ["Provider", span.provider], ["Operation", words(span.operation_name)], ["Began", when(span.start_time)],
      ["Took", millis(span.duration_ms)], ["First token after", millis(span.time_to_first_token_ms)],
      ["Status", span.status_code], ["Decision", span.action], ["Reason", span.reason], ["Inspected", span.coverage],
      ["Error", span.error_message], ["Tokens", tokens],
      ["Cost", span.billed ? dollars(span.estimated_cost_usd) : "billed with another record of this call"],
      ["Agent", span.agent], ["Session", span.session], ["User", span.user], ["Tenant", span.tenant_id],
      ["Source", span.source], ["Span", span.span_id],
    ]),
    el("h3", {}, "Findings"), findings(span),
    text("Prompt", span.prompt, "Not kept."),
    text("Answer", span.response, span.outcome === "blocked" ? "The call was blocked: there is none." : "There is none, or it was not kept."),
    actions(span), events(span),
    Object.keys(span.tags).length > 0 && el("div", { class: "badges tags" },
      Object.entries(span.tags).map(([name, value]) => badge(`${name}: ${value}`, "dim"))));
}

export function trace(_, { id, back }) {
  const body = el("div");
  const paint = painter(body, (found) => {
    const starts = found.spans.map((span) => Date.parse(span.start_time));
    const ends = found.spans.map((span) => Date.parse(span.end_time ?? span.start_time));
    return found.spans.map((span) => call(span, Math.min(...starts), Math.max(...ends)));
  });
  return {
    title: "Trace",
    element: el("div", {}, el("p", {}, el("a", { href: back }, "← Back to the list")), el("h1", {}, "Trace ", el("code", {}, id)), body),
    load: async (signal) => paint(await get(`api/v1/traces/${encodeURIComponent(id)}`, {}, signal)),
  };
}
