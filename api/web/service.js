// The service behind the page: every request goes through here, with the key where one was given.

const base = new URL("../", import.meta.url);
const KEY = "listing-price-category-key";

/** What the service answered when it was no answer: its status and its own words. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Keep a key until the tab is closed. */
export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** Whether one was given. */
export const hasKey = () => sessionStorage.getItem(KEY) !== null;

/** Ask for a path, with a body as JSON; throws Refused, or TypeError where nothing answers. */
export async function ask(path, body) {
  return (await answered(path, body)).json();
}

/** The same of a model's answer, and which version gave it. */
export async function askModel(path, body) {
  const response = await answered(path, body);
  return [await response.json(), response.headers.get("X-Model-Version")];
}

/** What lies at a path, as it is; throws as `ask` does. */
export async function fetched(path) {
  return (await answered(path)).blob();
}

/** Where a market's answers are asked for. */
export const addressOf = (market) => `markets/${encodeURIComponent(market)}`;

async function answered(path, body) {
  const headers = hasKey() ? { "X-API-Key": sessionStorage.getItem(KEY) } : {};
  const question = { headers, cache: "no-store" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(question, { method: "POST", body: JSON.stringify(body) });
  }
  const response = await fetch(new URL(path, base), question);
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Refused(response.status, told.detail ?? `The service answered ${response.status}.`);
}
