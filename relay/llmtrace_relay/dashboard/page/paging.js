// Pages of a list.
import { el } from "./dom.js";
import { count } from "./format.js";

export const PAGE = 25;

// `turn` is told the offset of the page to go to.
export function pager(found, turn) {
  const { total, offset, data } = found;
  const shown = total ? `${count(offset + 1)}–${count(offset + data.length)} of ${count(total)}` : "none";
  const button = (words, to, on) =>
    el("button", { type: "button", disabled: !on, "data-key": `page-${words}`, onclick: () => turn(to) }, words);
  return el("div", { class: "pager" },
    button("Newer", Math.max(offset - PAGE, 0), offset > 0),
    el("span", {}, shown),
    button("Older", offset + PAGE, offset + data.length < total));
}

// A form of filters: `changed` is told all values. Enter and leaving a field count, typing does not.
export function filters(fields, changed) {
  const form = el("form", { class: `filters of${fields.length}`, role: "search", novalidate: true }, fields,
    el("button", { type: "reset" }, "Clear"));
  const tell = () => changed(Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()])));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", tell);
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    for (const control of form.querySelectorAll("input, select")) control.value = "";
    tell();
  });
  return form;
}

export function fillIn(form, parameters) {
  for (const control of form.querySelectorAll("input, select")) control.value = parameters[control.name] ?? "";
}

export const pageOf = (parameters) => Math.max(Number.parseInt(parameters.offset ?? "0", 10) || 0, 0);
