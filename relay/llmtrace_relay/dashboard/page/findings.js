// What was found in calls, the newest first.
import { get } from "./api.js";
import { choice, el, labelled, painter, table } from "./dom.js";
import { when, words } from "./format.js";
import { PAGE, fillIn, filters, pageOf, pager } from "./paging.js";
import { SEVERITIES, severity } from "./trace_words.js";

function list(found) {
  if (!found.data.length) return el("p", { class: "panel empty" }, "No finding matches.");
  return table("Findings, the newest first", [
    ["Time", (each) => el("a", { href: `#/trace/${each.trace_id}`, "data-key": each.id }, when(each.detected_at)), "time"],
    ["Severity", (each) => severity(each.severity)],
    ["Type", (each) => words(each.finding_type)],
    ["What", (each) => each.description, "text"],
    ["Model", (each) => each.model_name],
    ["Decision", (each) => each.action],
    ["Confidence", (each) => `${Math.round(each.confidence_score * 100)} %`, "number"],
  ], found.data, () => ({ class: "way" }));
}

export function findings(parameters, { go }) {
  let asked = parameters;
  const types = el("datalist", { id: "types" });
  const known = new Set();
  const form = filters([
    labelled("Severity", choice("severity", [["", "any"], ...SEVERITIES.slice(1).map((name) => [name, `${name} or more`])], "")),
    labelled("Type", el("input", { name: "type", type: "search", list: "types", autocomplete: "off", maxlength: 512 })),
  ], (values) => go("findings", values));
  fillIn(form, asked);
  const body = el("div");
  const paint = painter(body, (found) => [list(found), pager(found, (offset) => go("findings", { ...asked, offset: offset || "" }))]);
  return {
    title: "Findings",
    element: el("div", {}, el("h1", {}, "Findings"), form, types, body),
    set(changed) {
      asked = changed;
      fillIn(form, asked);
    },
    async load(signal) {
      const { severity: least, type } = asked;
      const query = { min_severity: least, finding_type: type?.replaceAll(" ", "_"), limit: PAGE, offset: pageOf(asked) };
      const found = await get("api/v1/findings", query, signal);
      for (const each of found.data) known.add(each.finding_type);
      types.replaceChildren(...[...known].sort().map((value) => el("option", { value })));
      paint(found);
    },
  };
}
