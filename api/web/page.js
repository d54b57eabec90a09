// The page: a listing is described on one side, and answered on the other while it is.

import { neighbours, showAnswer, showChanges, showReasons, showSource } from "./answer.js";
import { byId, make, say } from "./elements.js";
import { Form } from "./form.js";
import { PlaceMap } from "./map.js";
import { addressOf, ask, askModel, fetched, hasKey, useKey } from "./service.js";

const SETTLED = 150; // milliseconds without a change, after which the slower questions are asked
const AGAIN = 2000; // milliseconds until a service that does not answer is asked again

let markets = [];
let market;
let inputs;
let form;
const map = new PlaceMap(moved);
let asked = 0; // how many times the listing was asked about: an answer to an older one is not shown
let underWay = false;
let settling;

async function start() {
  markets = await ask("markets");
  if (markets.length === 0) await ask("model"); // which says why
  byId("market").replaceChildren(...markets.map((one) => make("option", { value: one.name }, one.title)));
  byId("markets").hidden = markets.length === 1;
  const wanted = decodeURIComponent(location.hash.slice(1));
  await choose(markets.find((one) => one.name === wanted) ?? markets.find((one) => one.default) ?? markets[0]);
  byId("unlock").hidden = true;
  byId("main").hidden = false;
}

async function choose(chosen) {
  await know(chosen);
  market = chosen;
  byId("market").value = market.name;
  byId("card").href = `${addressOf(market.name)}/model/card`;
  form = new Form(inputs.properties, changed);
  for (const [name, value] of Object.entries(inputs.example)) form.set(name, value);
  map.show(inputs.example.latitude, inputs.example.longitude);
  answer();
}

// What there is to know of the model that answers for a market.
async function know({ name }) {
  const [taken, model] = await Promise.all([ask(`${addressOf(name)}/model/inputs`), ask(`${addressOf(name)}/model`)]);
  inputs = taken;
  byId("made-up").hidden = !model.synthetic;
  showSource(model);
  map.use(inputs.places);
  say("no-map", inputs.places ? "" : "This model was published without a map: its listings' places are not known.");
}

function moved(latitude, longitude) {
  form.set("latitude", latitude);
  form.set("longitude", longitude);
  map.show(latitude, longitude);
  const there = map.neighbourhoodAt(latitude, longitude, market.neighbourhoods);
  if (there !== undefined) form.set("neighbourhood", there);
  answer();
}

function changed(name) {
  const listing = form.listing;
  if (name === "neighbourhood") {
    const middle = map.middleOf(market.neighbourhoods.indexOf(listing?.neighbourhood));
    if (middle !== undefined) {
      form.set("latitude", middle.latitude);
      form.set("longitude", middle.longitude);
      map.show(middle.latitude, middle.longitude);
    }
  } else if (listing !== null && (name === "latitude" || name === "longitude")) {
    map.show(listing.latitude, listing.longitude);
  }
  answer();
}

// One question is under way at a time, and when it is answered the latest listing is asked about: a slider that is
// drawn along does not leave a queue behind.
async function answer() {
  asked += 1;
  clearTimeout(settling);
  if (underWay) return;
  underWay = true;
  try {
    let current;
    do {
      current = asked;
      await answerOnce(current);
    } while (current !== asked);
  } finally {
    underWay = false;
  }
}

async function answerOnce(current) {
  const listing = form.listing;
  if (listing === null) {
    say("problem", "A number is missing or out of bounds: the answer is to the listing before.");
    return;
  }
  const whole = { id: 0, ...listing };
  await guarded(async () => {
    const [told, version] = await askModel(`${addressOf(market.name)}/classify?probabilities=true`, whole);
    if (version !== inputs.model_version) await know(market); // another was promoted meanwhile
    say("problem", "");
    showAnswer(told, market);
    if (current === asked) settling = setTimeout(() => guarded(() => explain(current, whole, told)), SETTLED);
  });
}

async function explain(current, listing, told) {
  const others = neighbours(listing, inputs.properties);
  const [explained, answers] = await Promise.all([
    ask(`${addressOf(market.name)}/classify?probabilities=true&explain=true`, listing),
    ask(`${addressOf(market.name)}/classify/batch`, others.map((other) => other.listing)),
  ]);
  if (current !== asked) return;
  showReasons(explained, listing);
  showChanges(told.price_category, others, answers);
}

// Do something, and say what went wrong: a key that is asked for, a service that is gone and asked again, its own words.
async function guarded(work) {
  try {
    await work();
  } catch (error) {
    if (error.status === 401) {
      say("problem", "");
      byId("main").hidden = true;
      byId("unlock").hidden = false;
      byId("key").focus();
      return;
    }
    const gone = error instanceof TypeError;
    say("problem", gone ? "The service does not answer; it is asked again." : error.message);
    if (gone || error.status === 503) setTimeout(() => (form ? answer() : guarded(start)), AGAIN);
  }
}

byId("market").addEventListener("change", ({ target }) => {
  location.hash = target.value;
  guarded(() => choose(markets.find((one) => one.name === target.value)));
});
byId("card").addEventListener("click", (event) => {
  // A link cannot carry a key: where one is needed, the card is fetched with it.
  if (!hasKey()) return;
  event.preventDefault();
  guarded(async () => open(URL.createObjectURL(await fetched(event.target.getAttribute("href"))), "_blank"));
});
byId("listing").addEventListener("submit", (event) => event.preventDefault());
byId("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  byId("key").value = "";
  guarded(start);
});
guarded(start);
