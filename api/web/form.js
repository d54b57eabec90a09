// The form: a control for each property that the model takes, made from what the service says of it.

import { byId, make } from "./elements.js";
import { label } from "./words.js";

const WHERE = ["neighbourhood", "latitude", "longitude"];

/** The controls of a model's properties; `changed` is called with the name of the one that a person changes. */
export class Form {
  #controls = new Map();

  constructor(properties, changed) {
    for (const fieldset of [byId("where"), byId("what")]) {
      for (const old of fieldset.querySelectorAll(".property")) old.remove();
    }
    for (const property of properties) {
      const control = MAKERS[property.type](property, () => changed(property.name));
      this.#controls.set(property.name, control);
      byId(WHERE.includes(property.name) ? "where" : "what").append(control.element);
    }
  }

  /** The listing as it stands; null where a control holds nothing that can be sent. */
  get listing() {
    const values = Object.fromEntries([...this.#controls].map(([name, control]) => [name, control.value]));
    return Object.values(values).includes(null) ? null : values;
  }

  /** Give a control a value, as if nobody had. */
  set(name, value) {
    if (this.#controls.has(name)) this.#controls.get(name).value = value;
  }
}

const MAKERS = {
  choice: (property, changed) => (WHERE.includes(property.name) ? select : radios)(property, changed),
  flag: toggle,
  number: (property, changed) => (WHERE.includes(property.name) ? box : slider)(property, changed),
};

function described(property, id) {
  return make("p", { class: "unseen", id: `${id}-hint` }, property.description);
}

function select(property, changed) {
  const id = `property-${property.name}`;
  const field = make("select", { id, onchange: changed }, ...property.choices.map((one) => make("option", {}, one)));
  return {
    element: make("div", { class: "property" }, make("label", { for: id }, label(property.name)), field),
    get value() { return field.value; },
    set value(value) { field.value = value; },
  };
}

function radios(property, changed) {
  const name = `property-${property.name}`;
  const fields = property.choices.map((value) => make("input", { type: "radio", name, value, onchange: changed }));
  return {
    element: make(
      "fieldset", { class: "property choices" }, make("legend", {}, label(property.name)),
      ...fields.map((field) => make("label", {}, field, make("span", {}, field.value))),
    ),
    get value() { return fields.find((field) => field.checked)?.value ?? null; },
    set value(value) { for (const field of fields) field.checked = field.value === value; },
  };
}

function toggle(property, changed) {
  const id = `property-${property.name}`;
  const field = make("input", { id, type: "checkbox", role: "switch", onchange: changed });
  return {
    element: make("div", { class: "property toggle" }, make("label", { for: id }, label(property.name)), field),
    get value() { return field.checked; },
    set value(value) { field.checked = value; },
  };
}

function numberField(property, id, changed) {
  return make("input", {
    id, type: "number", min: property.minimum, max: property.maximum, step: property.step ?? "any", required: true,
    oninput: changed,
  });
}

function read(field) {
  const valid = field.checkValidity();
  field.setAttribute("aria-invalid", String(!valid));
  return valid ? field.valueAsNumber : null;
}

function box(property, changed) {
  const id = `property-${property.name}`;
  const field = numberField(property, id, changed);
  return {
    element: make("div", { class: "property degrees" }, make("label", { for: id }, label(property.name)), field),
    get value() { return read(field); },
    set value(value) { field.value = value; },
  };
}

// The slider goes as far as listings usually do; the box beside it takes whatever the model does.
function slider(property, changed) {
  const id = `property-${property.name}`;
  const range = make("input", {
    id, type: "range", min: property.minimum, max: property.usually_up_to ?? property.maximum, step: property.step,
    "aria-describedby": `${id}-hint`,
  });
  const field = numberField(property, `${id}-exact`, () => {
    range.value = field.value;
    changed();
  });
  field.setAttribute("aria-label", `${label(property.name)}, as a number`);
  range.addEventListener("input", () => {
    field.value = range.value;
    changed();
  });
  return {
    element: make(
      "div", { class: "property slider" }, make("label", { for: id }, label(property.name)), range, field,
      described(property, id),
    ),
    get value() { return read(field); },
    set value(value) { range.value = field.value = value; },
  };
}
