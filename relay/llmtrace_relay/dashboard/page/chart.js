// Calls over time as stacked bars, drawn anew for each width so that its words keep their size.
import { el, svg } from "./dom.js";
import { count } from "./format.js";

const HEIGHT = 220;
const EDGE = { top: 12, right: 4, bottom: 26, left: 44 };
const LABEL_PX = 64;

// The next of 1, 2, 5, 10, 20, 50 ... that is not below.
export function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= value);
}

function axis(top, width, y) {
  const ticks = top > 1 ? [0, top / 2, top] : [0, top];
  return ticks.filter(Number.isInteger).map((tick) => [
    svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(tick), y2: y(tick) }),
    svg("text", { class: "tick", x: EDGE.left - 6, y: y(tick) + 4, "text-anchor": "end" }, count(tick)),
  ]);
}

function bar(point, left, wide, y) {
  const passed = point.calls - point.blocked;
  const parts = [["blocked", 0, point.blocked], ["passed", point.blocked, passed]].filter(([, , many]) => many > 0);
  const rects = parts.map(([kind, from, many]) =>
    svg("rect", { class: kind, x: left, width: wide, y: y(from + many), height: Math.max(y(from) - y(from + many), 1) }));
  const words = `${point.name}: ${count(point.calls)} calls, ${count(point.blocked)} blocked`;
  return svg("g", {}, svg("title", {}, words), rects);
}

function drawn(points, width) {
  const top = ceiling(Math.max(...points.map((point) => point.calls), 1));
  const step = (width - EDGE.left - EDGE.right) / points.length;
  const wide = Math.max(step * 0.75, 1);
  const y = (value) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const every = Math.max(Math.ceil(LABEL_PX / step), 1);
  const at = (index) => EDGE.left + index * step + (step - wide) / 2;
  const named = points.map((point, index) => [point, index]).filter(([, index]) => (points.length - 1 - index) % every === 0);
  return [
    axis(top, width, y),
    points.map((point, index) => bar(point, at(index), wide, y)),
    named.filter(([, index]) => at(index) > EDGE.left + 8).map(([point, index]) =>
      svg("text", { class: "tick", x: Math.min(at(index) + wide / 2, width - 18), y: HEIGHT - 8, "text-anchor": "middle" },
        point.mark)),
  ].flat(3);
}

// points: { name, mark, calls, blocked }, the earliest first.
export function chart(points, words) {
  const picture = svg("svg", { role: "img", "aria-label": words, height: HEIGHT, class: "chart" });
  const frame = el("div", { class: "frame" }, picture);
  new ResizeObserver(() => {
    const width = Math.max(Math.floor(frame.clientWidth), 200);
    picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    picture.replaceChildren(...drawn(points, width));
  }).observe(frame);
  return frame;
}
