// The answer: the category, how probable each is, why, and what would change it.

import { byId, make, say } from "./elements.js";
import { change, percent, prices, stated } from "./words.js";

const CATEGORIES = ["Low", "Mid", "High", "Lux"];
const MOST_CHANGES = 6;

/** Show the category and the four probabilities. */
export function showAnswer(answer, market) {
  const category = answer.price_category;
  byId("category").textContent = category;
  byId("answer").dataset.category = byId("bar").dataset.category = category;
  byId("bar").replaceChildren(make("b", {}, category), ` ${percent(answer.probabilities[category])} · why?`);
  say("price", `A night costs ${prices(category, market)}.`);
  byId("probabilities").replaceChildren(
    ...CATEGORIES.map((name) => {
      const share = answer.probabilities[name];
      const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("span", { "data-category": name }));
      bar.firstChild.style.width = `${100 * share}%`;
      return make("li", { class: name === category ? "answered" : undefined },
        make("span", { class: "name" }, name), bar, make("span", { class: "value" }, percent(share)));
    }),
  );
}

/** Show by how much each property moved the category's probability. */
export function showReasons(answer, listing) {
  const { explanation } = answer;
  byId("reasons").hidden = !explanation;
  if (!explanation) {
    say("why", answer.no_explanation ?? "There are no reasons to show.");
    return;
  }
  const reasons = whole(explanation.contributions, listing).sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  const widest = Math.max(...reasons.map(([, share]) => Math.abs(share)), 0.01);
  const category = answer.price_category;
  const [atLarge, here] = [explanation.base_value, answer.probabilities[category]].map(percent);
  say("why", `${category} is ${atLarge} probable among listings at large, and ${here} for this one. In percentage points:`);
  byId("reasons").replaceChildren(
    ...reasons.map(([name, share]) => {
      const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("span", { class: share < 0 ? "down" : "up" }));
      bar.firstChild.style.width = `${(50 * Math.abs(share)) / widest}%`;
      return make("li", {},
        make("span", { class: "name" }, name), bar, make("span", { class: "value" }, points(share)));
    }),
  );
}

// What people take for one property is one: the shares of latitude and longitude are those of the point on the map.
function whole({ latitude, longitude, ...others }, listing) {
  const named = Object.entries(others).map(([name, share]) => [stated(name, listing[name]), share]);
  return [...named, ["The point on the map", (latitude ?? 0) + (longitude ?? 0)]];
}

function points(share) {
  const rounded = Math.round(100 * share);
  return rounded === 0 ? "0" : `${rounded > 0 ? "+" : "−"}${Math.abs(rounded)}`;
}

/** Each listing that differs from this one in a single property, by a step. */
export function neighbours(listing, properties) {
  return properties.flatMap(({ name, type, choices, minimum, maximum }) => {
    const value = listing[name];
    if (name === "neighbourhood" || name === "latitude" || name === "longitude") return [];
    const others = {
      flag: () => [!value],
      choice: () => choices.filter((choice) => choice !== value),
      number: () => [value + 1, value - 1].filter((other) => other >= minimum && other <= maximum),
    }[type]();
    return others.map((other) => ({ name, from: value, to: other, listing: { ...listing, [name]: other } }));
  });
}

/** Show which of them have another category. */
export function showChanges(category, others, answers) {
  const changed = others
    .map((other, index) => ({ ...other, category: answers[index].price_category }))
    .filter((other) => other.category !== category);
  const lines = changed.slice(0, MOST_CHANGES).map((one) =>
    make("li", {}, `${change(one.name, one.from, one.to)}: `, make("b", { "data-category": one.category }, one.category)));
  byId("changes").replaceChildren(
    ...(lines.length ? lines : [make("li", {}, `No single change would: it stays ${category}.`)]),
  );
}

/** Show which model, data and day answered. */
export function showSource(model) {
  const day = model.snapshot_date;
  const data = model.synthetic ? "made-up listings" : day ? `listings of ${date(day)}` : "listings of an unknown day";
  say("source", `Answered by ${model.version}, published on ${date(model.created_at)}, which learned from ${data}.`);
}

function date(text) {
  const options = { dateStyle: "long", timeZone: "UTC" };
  return new Intl.DateTimeFormat(undefined, options).format(new Date(text));
}
