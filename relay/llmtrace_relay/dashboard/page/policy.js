// What can be changed while the relay runs, by its operator.
import { get, put } from "./api.js";
import { badge, choice, el, painter, replace } from "./dom.js";
import { words } from "./format.js";

const title = (name) => words(name).replace(/^ml\b/u, "ML");
const ROOT = "api/v1/config/features";

// A flag is true or false, or one of the words that the API's description lists.
function choicesOf(description) {
  const known = description.components.schemas.Features.properties;
  return Object.fromEntries(Object.entries(known).map(([name, schema]) => [name, schema.enum ?? null]));
}

function control(name, value, choices, allowed, change) {
  const common = { id: `flag-${name}`, disabled: !allowed, "data-key": `flag-${name}` };
  if (choices) {
    const pick = choice(name, choices.map((each) => [each, words(each)]), value);
    for (const [attribute, given] of Object.entries(common)) if (given) pick.setAttribute(attribute, given === true ? "" : given);
    pick.addEventListener("change", () => change(name, pick.value));
    return pick;
  }
  return el("input", {
    type: "checkbox", role: "switch", checked: value === true, ...common,
    onchange: (event) => change(name, event.target.checked),
  });
}

function line(name, found, allowed, change) {
  const value = found.flags[name];
  const set = name in found.changed;
  const waiting = found.effective[name] !== value;
  return el("li", {},
    el("label", { for: `flag-${name}` }, title(name)),
    el("span", { class: "badges" },
      set && badge("set at run time", "warn"), waiting && badge("not in force yet", "dim")),
    set && allowed && el("button", { type: "button", "data-key": `back-${name}`, onclick: () => change(name, null) }, "Take back"),
    control(name, value, found.choices[name], allowed, change));
}

function said(me) {
  if (me.everywhere) return "What is set here holds for all tenants at once, until it is taken back.";
  return "Only the operator of the relay (auth.admin_key) may change this; your key may look.";
}

export function policy(_, { me, refresh }) {
  const body = el("div");
  const told = el("p", { class: "told", role: "status" });
  let choices = null;
  const change = async (name, value) => {
    told.textContent = `Setting ${title(name)} …`;
    try {
      await put(`${ROOT}/${encodeURIComponent(name)}`, { value });
      told.textContent = value === null ? `${title(name)}: taken back.` : `${title(name)}: set to ${words(String(value))}.`;
    } catch (error) {
      told.textContent = `${title(name)} was not changed: ${error.message}`;
      paint.anew(); // the control shows what was asked for, and not what holds
    }
    refresh();
  };
  const paint = painter(body, (found) => [
    el("p", {}, said(me())),
    found.warnings.length > 0 && el("ul", { class: "notes" }, found.warnings.map((warning) => el("li", {}, warning))),
    el("ul", { class: "panel flags" }, Object.keys(found.effective).map((name) => line(name, found, me().everywhere, change))),
  ]);
  return {
    title: "Policy",
    element: el("div", {}, el("h1", {}, "Policy"), told, body),
    async load(signal) {
      if (me().role !== "admin") {
        replace(body, el("p", { class: "panel empty" }, "This needs a key of the role admin."));
        return;
      }
      choices ??= choicesOf(await get("api-doc/openapi.json", {}, signal));
      const { effective, changed, warnings, ...flags } = await get(ROOT, {}, signal);
      paint({ effective, changed, warnings, flags, choices });
    },
  };
}
