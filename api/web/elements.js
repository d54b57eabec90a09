// Making elements: text goes in as text, never as markup.

/** An element with attributes (listeners by «onname», the rest as written) and children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** The element with an id. */
export const byId = (id) => document.getElementById(id);

/** Show a text in an element, or hide the element where there is none. */
export function say(id, text) {
  byId(id).textContent = text ?? "";
  byId(id).hidden = !text;
}
