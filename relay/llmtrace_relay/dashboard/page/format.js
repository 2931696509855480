// Values as people read them.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const hours = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const utcDays = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const count = (value) => (value === null || value === undefined ? "" : whole.format(value));
export const brief = (value) => (value < 10_000 ? whole.format(value) : short.format(value));

export function dollars(value) {
  if (value === null || value === undefined) return "";
  if (value === 0) return "$0";
  if (value < 0.0001) return "< $0.0001";
  return `$${value.toFixed(value < 1 ? 4 : 2)}`;
}

export function millis(value) {
  if (value === null || value === undefined) return "";
  return value < 1000 ? `${value} ms` : `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
}

export const time = (at) => clock.format(at);
export const hour = (at) => hours.format(at);
export const day = (at) => days.format(at);
export const utcDay = (at) => utcDays.format(at);

// A time of today without the date.
export function when(text) {
  if (!text) return "";
  const at = new Date(text);
  return at.toDateString() === new Date().toDateString() ? time(at) : `${day(at)}, ${time(at)}`;
}

// The same on one line and not too long.
export function cut(text, most) {
  const line = [...text.slice(0, most * 4).replace(/\s+/gu, " ").trim()];
  return line.length > most ? `${line.slice(0, most).join("")}…` : line.join("");
}

export const words = (name) => name.replaceAll("_", " ");
