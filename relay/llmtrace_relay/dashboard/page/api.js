// What the relay is asked, with the key that the reader has typed in.

const BASE = new URL("../", import.meta.url);
const KEPT = "llmtrace.key";
const PATIENCE_MS = 8000;

export const key = {
  get: () => sessionStorage.getItem(KEPT),
  set: (value) => sessionStorage.setItem(KEPT, value),
  forget: () => sessionStorage.removeItem(KEPT),
  fits: (value) => /^[\x21-\x7e]{1,4096}$/u.test(value),
};

// The relay said no. `status` is that of HTTP; 0 is where it said nothing at all.
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// A path below the relay's address, and the parameters that have a value.
function address(path, parameters) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== "" && value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return url;
}

async function fetched(url, options, signal) {
  const limit = AbortSignal.timeout(PATIENCE_MS);
  try {
    return await fetch(url, {
      cache: "no-store", credentials: "omit", redirect: "error", ...options,
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, limit.aborted ? "it took too long" : "there is no connection");
  }
}

async function answer(response, fine = response.ok) {
  let body = null;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(response.ok ? 0 : response.status, "the answer is no JSON; is this a relay?");
  }
  if (!fine) throw new Refused(response.status, body?.error?.message ?? `status ${response.status}`);
  return body;
}

function headers(more = {}) {
  return key.get() ? { "x-llmtrace-token": key.get(), ...more } : more;
}

export async function get(path, parameters = {}, signal = undefined) {
  return answer(await fetched(address(path, parameters), { headers: headers() }, signal));
}

export async function put(path, value) {
  const options = { method: "PUT", headers: headers({ "content-type": "application/json" }), body: JSON.stringify(value) };
  return answer(await fetched(address(path, {}), options));
}

// How the relay is; it says so with 503 as well.
export async function health(signal) {
  return answer(await fetched(address("health", {}), {}, signal), true);
}
