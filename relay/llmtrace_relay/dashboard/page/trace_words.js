// How a call is told in lists and by itself.
import { badge, el } from "./dom.js";
import { words } from "./format.js";

const KINDS = { blocked: "bad", upstream_error: "warn", client_error: "warn", abandoned: "dim", complete: "good" };
export const OUTCOMES = Object.keys(KINDS);
export const SEVERITIES = ["Info", "Low", "Medium", "High", "Critical"];

// How it ended, and what was done to it where that says more.
export function fate(span) {
  const more = ["flag", "redact"].includes(span.action) && span.outcome !== "blocked";
  return el("span", { class: "badges" },
    badge(words(span.outcome || "reported"), KINDS[span.outcome] ?? "dim"),
    more && badge(span.action === "flag" ? "flagged" : "redacted", "warn"));
}

export function score(value) {
  if (value === null || value === undefined) return "";
  return badge(String(value), value >= 60 ? "bad" : value >= 30 ? "warn" : "dim");
}

export const severity = (name) =>
  badge(name, { Critical: "bad", High: "bad", Medium: "warn" }[name] ?? "dim");
