// The page around the views: where one is, what was read when, and the key.
import { Refused, get, health, key } from "./api.js";
import { byId } from "./dom.js";
import { findings } from "./findings.js";
import { time } from "./format.js";
import { overview } from "./overview.js";
import { policy } from "./policy.js";
import { trace } from "./trace.js";
import { traces } from "./traces.js";

const EVERY_MS = 10_000;
const VIEWS = { overview, traces, trace, findings, policy };

let view = null;
let place = null;
let me = null;
let timer = 0;
let asking = null;
let paused = false;
let list = "#/traces";
let read = null;

// #/name/id?parameters
function whereabouts() {
  const [path, query] = location.hash.replace(/^#\/?/u, "").split("?");
  const [name, id] = path.split("/");
  const known = name in VIEWS ? name : "overview";
  return { name: known, id: id ? decoded(id) : "", parameters: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function go(name, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined);
  const query = new URLSearchParams(given.map(([each, value]) => [each, String(value)])).toString();
  location.hash = `#/${name}${query ? `?${query}` : ""}`;
}

function show() {
  const next = whereabouts();
  if (["traces", "findings"].includes(next.name)) list = location.hash;
  if (view?.set && place.name === next.name) {
    view.set(next.parameters);
  } else {
    const moved = place !== null;
    view = VIEWS[next.name](next.parameters, { go, id: next.id, back: list, me: () => me, refresh });
    byId("main").replaceChildren(view.element);
    document.title = `${view.title} – llmtrace relay`;
    if (moved) byId("main").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  place = next;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.hash === `#/${next.name}` || (next.name === "trace" && link.hash === list.split("?")[0]);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  refresh();
}

async function refresh() {
  if (byId("door").open) return;
  clearTimeout(timer);
  asking?.abort();
  const now = new AbortController();
  asking = now;
  try {
    await ask(now.signal);
  } catch (error) {
    if (now.signal.aborted) return;
    complain(error);
  }
  if (asking === now && !byId("door").open) timer = setTimeout(tick, EVERY_MS);
}

async function ask(signal) {
  if (!me && !key.get() && (await health(signal)).auth.enabled) throw new Refused(401, "a key is needed");
  me ??= await get("api/v1/me", {}, signal);
  const [state] = await Promise.all([health(signal), view.load(signal)]);
  if (signal.aborted) return;
  read = new Date();
  byId("fresh").textContent = `Read at ${time(read)}`;
  byId("trouble").hidden = true;
  tellHealth(state);
  byId("who").textContent = me.actor === "local" ? "no keys are asked for" : `${me.actor}, ${me.role}`;
  byId("forget").hidden = !key.get();
}

function tick() {
  if (paused || document.hidden) timer = setTimeout(tick, EVERY_MS);
  else refresh();
}

function complain(error) {
  if (!(error instanceof Refused)) throw error;
  if (error.status === 401) {
    openDoor();
    return;
  }
  const since = read ? ` What is shown was read at ${time(read)}.` : "";
  const again = paused ? "" : " Trying again every 10 seconds.";
  const words = error.status === 0
    ? `The relay at ${location.host} cannot be reached: ${error.message}.${since}${again}`
    : `The relay says: ${error.message}.${since}`;
  const trouble = byId("trouble");
  if (trouble.textContent !== words) trouble.textContent = words;
  trouble.hidden = false;
  if (error.status === 0) {
    byId("health").textContent = "The relay does not answer";
    byId("health").className = "unwell";
  }
}

function tellHealth(state) {
  const away = [
    !state.storage.traces.healthy && "the database is away",
    !state.storage.cache.healthy && "shared limits are away",
    !state.security.healthy && "inspection had faults",
    state.ml.status === "failed" && "the ml tier has failed",
    !state.judge.healthy && "the judge had faults",
    state.draining && "it is about to end",
    ...Object.entries(state.dropped).map(([name, many]) => many > 0 && `${many} ${name} lost`),
  ].filter(Boolean);
  const words = `llmtrace ${state.version}: ${state.status}${away.length ? ` (${away.join(", ")})` : ""}`;
  if (byId("health").textContent !== words) byId("health").textContent = words;
  byId("health").className = state.status === "healthy" && !away.length ? "well" : "unwell";
}

function openDoor() {
  const had = key.get();
  key.forget();
  me = null;
  view = null;
  byId("main").replaceChildren(); // whoever has no key sees nothing
  byId("forget").hidden = true;
  byId("who").textContent = "";
  if (had) byId("door-why").textContent = "The relay does not know this key, or it is revoked or expired. Type in another.";
  if (!byId("door").open) byId("door").showModal();
}

function enter(event) {
  event.preventDefault();
  const given = byId("door-key").value.trim();
  if (!key.fits(given)) {
    byId("door-why").textContent = "This cannot be a key: keys have no spaces and only plain letters, digits and signs.";
    return;
  }
  key.set(given);
  byId("door-key").value = "";
  byId("door").close();
  show();
}

function leave() {
  key.forget();
  location.reload(); // nothing of what was read stays in the page
}

function pause() {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  byId("pause").textContent = paused ? "Go on" : "Pause";
  if (!paused) refresh();
}

byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part of the address after # is for views
  byId("main").focus();
});
byId("now").addEventListener("click", refresh);
byId("pause").addEventListener("click", pause);
byId("forget").addEventListener("click", leave);
byId("door-form").addEventListener("submit", enter);
byId("door").addEventListener("cancel", (event) => event.preventDefault());
addEventListener("hashchange", show);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !paused) refresh();
});
show();
