// What people call the properties of a listing; one that is not here is called by its own name.

const LABELS = {
  accommodates: "Guests",
  tv: "TV",
};
const NOUNS = {
  accommodates: ["guest", "guests"],
  bathrooms: ["bathroom", "bathrooms"],
  bedrooms: ["bedroom", "bedrooms"],
  beds: ["bed", "beds"],
};
const THINGS = { tv: "a TV", elevator: "an elevator", internet: "internet" };

/** The label of a property. */
export function label(name) {
  const words = name.replaceAll("_", " ");
  return LABELS[name] ?? words[0].toUpperCase() + words.slice(1);
}

/** A property with its value, as in «Guests: 5». */
export function stated(name, value) {
  const shown = typeof value === "boolean" ? (value ? "yes" : "no") : typeof value === "number" ? number(value) : value;
  return `${label(name)}: ${shown}`;
}

/** What is done to a listing when a property gets another value, as in «with one more bedroom». */
export function change(name, from, to) {
  if (typeof to === "boolean") {
    return `${to ? "with" : "without"} ${THINGS[name] ?? label(name)}`;
  }
  if (typeof to === "string") {
    return `as «${to}»`;
  }
  const [one, many] = NOUNS[name] ?? [label(name), label(name)];
  const amount = Math.abs(to - from);
  const counted = amount === 1 ? "one" : amount === 0.5 ? "half a" : number(amount);
  const noun = amount <= 1 ? one : many;
  return to > from ? `with ${counted} more ${noun}` : `with ${counted} ${noun} less`;
}

/** A number as it is read here. */
export const number = (value) => value.toLocaleString(undefined, { maximumFractionDigits: 5 });

/** A share in whole per cent, as in «63 %», in one piece; what is small but there is not said to be nothing. */
export function percent(share) {
  if (share > 0 && share < 0.005) return "<\u00a01\u00a0%";
  if (share < 1 && share > 0.995) return ">\u00a099\u00a0%";
  return `${Math.round(100 * share)}\u00a0%`;
}

/** What a night of a category costs in a market. */
export function prices(category, market) {
  const money = new Intl.NumberFormat(undefined, {
    style: "currency", currency: market.currency, minimumFractionDigits: 0, maximumFractionDigits: 2,
  });
  const limits = market.category_limits.map((limit) => money.format(limit));
  const said = {
    Low: `up to ${limits[0]}`,
    Mid: `more than ${limits[0]} and up to ${limits[1]}`,
    High: `more than ${limits[1]} and up to ${limits[2]}`,
    Lux: `more than ${limits[2]}`,
  };
  return said[category];
}
