// Elements. Whatever comes from a call gets into the page as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

// An element with attributes ("onclick" and the like listen); strings among the children become text.
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

// Replaces what an element holds, and keeps the keyboard and opened parts where they were: both are known by data-key.
export function replace(element, ...children) {
  const inside = element.contains(document.activeElement) ? document.activeElement.closest("[data-key]") : null;
  const open = new Set([...element.querySelectorAll("details[data-key][open]")].map((each) => each.dataset.key));
  element.replaceChildren(...children.flat().filter(Boolean));
  for (const each of element.querySelectorAll("[data-key]")) {
    if (open.has(each.dataset.key)) each.open = true;
    if (inside && each.dataset.key === inside.dataset.key) each.focus({ preventScroll: true });
  }
}

// columns: [title, row => text or element, class]. On narrow screens each row becomes a card (style.css).
export function table(caption, columns, rows, attributesOf = () => ({})) {
  const head = columns.map(([title, , kind]) => el("th", { scope: "col", class: kind }, title));
  const body = rows.map((row) =>
    el("tr", attributesOf(row), columns.map(([title, show, kind]) => {
      const shown = show(row);
      const none = shown === "" || shown === null || shown === undefined;
      return el("td", { "data-title": title, class: `${kind ?? ""}${none ? " none" : ""}` }, none ? "–" : shown);
    })));
  return el("div", { class: "scroll" },
    el("table", {}, el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}

export const badge = (text, kind = "") => el("span", { class: `badge ${kind}` }, text);

export function labelled(text, control) {
  return el("label", { class: "field" }, el("span", {}, text), control);
}

export function choice(name, options, chosen) {
  return el("select", { name }, options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

// Pairs of a term and what it is; those without a value are left out.
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", {}, known.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}

// Paints what was read, but only when it is different: whoever reads or selects something is not disturbed.
// `anew` has the next be painted in any case.
export function painter(element, render) {
  let last = null;
  const paint = (found) => {
    const now = JSON.stringify(found);
    if (now === last) return;
    last = now;
    replace(element, render(found));
  };
  paint.anew = () => {
    last = null;
  };
  return paint;
}
