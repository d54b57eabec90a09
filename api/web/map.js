// The map: where the listings are that the model learned from, and the point that stands for this one.

import { byId } from "./elements.js";

const NOBODY = "..";

/** Draws a model's map, and lets a person put the point anywhere on it. */
export class PlaceMap {
  #canvas = byId("map");
  #places;
  #point = { latitude: 0, longitude: 0 };

  /** No map yet; `moved` is told the latitude and longitude that a person chooses on one. */
  constructor(moved) {
    const pick = (event) => {
      const places = this.#places;
      const area = this.#canvas.getBoundingClientRect();
      const x = Math.min(Math.max((event.clientX - area.left) / area.width, 0), 1);
      const y = Math.min(Math.max((event.clientY - area.top) / area.height, 0), 1);
      moved(
        Number((places.north - y * (places.north - places.south)).toFixed(5)),
        Number((places.west + x * (places.east - places.west)).toFixed(5)),
      );
    };
    this.#canvas.onclick = pick;
    // A mouse draws the point along; a finger scrolls the page.
    this.#canvas.onpointermove = (event) => {
      if (event.pointerType === "mouse" && event.buttons === 1) pick(event);
    };
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").onchange = () => this.#draw();
  }

  /** Take the map of another model; undefined where it has none. */
  use(places) {
    this.#places = places;
    this.#canvas.hidden = places === undefined;
  }

  /** Put the point somewhere. */
  show(latitude, longitude) {
    this.#point = { latitude, longitude };
    this.#draw();
  }

  /** The name of the neighbourhood that most listings around a place are in; undefined where there are none. */
  neighbourhoodAt(latitude, longitude, names) {
    const { row, column } = this.#cell(latitude, longitude);
    const digits = this.#places.neighbourhoods[row]?.slice(2 * column, 2 * column + 2) || NOBODY;
    return digits === NOBODY ? undefined : names[parseInt(digits, 36)];
  }

  /** The middle of a neighbourhood's densest part; undefined where no listing of it is on the map. */
  middleOf(code) {
    const digits = code.toString(36).padStart(2, "0");
    let best;
    this.#places?.neighbourhoods.forEach((codes, row) => {
      for (let column = 0; 2 * column < codes.length; column += 1) {
        const level = Number(this.#places.density[row][column]);
        if (codes.slice(2 * column, 2 * column + 2) === digits && level > (best?.level ?? 0)) best = { level, row, column };
      }
    });
    return best && this.#placeOf(best.row, best.column);
  }

  get #rows() { return this.#places.density.length; }
  get #columns() { return this.#places.density[0].length; }

  #cell(latitude, longitude) {
    const { south, north, west, east } = this.#places;
    return {
      row: Math.floor(((north - latitude) / (north - south)) * this.#rows),
      column: Math.floor(((longitude - west) / (east - west)) * this.#columns),
    };
  }

  #placeOf(row, column) {
    const { south, north, west, east } = this.#places;
    return {
      latitude: Number((north - ((row + 0.5) / this.#rows) * (north - south)).toFixed(5)),
      longitude: Number((west + ((column + 0.5) / this.#columns) * (east - west)).toFixed(5)),
    };
  }

  #draw() {
    if (this.#places === undefined || this.#canvas.clientWidth === 0) return;
    const scale = devicePixelRatio;
    const width = this.#canvas.clientWidth * scale;
    const { south, north, west, east } = this.#places;
    const stretch = (north - south) / ((east - west) * Math.cos((((south + north) / 2) * Math.PI) / 180));
    const height = Math.round(width * stretch);
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    const pen = this.#canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.#canvas);
    pen.fillStyle = style.getPropertyValue("--listings");
    const [wide, high] = [width / this.#columns, height / this.#rows];
    this.#places.density.forEach((levels, row) => {
      for (let column = 0; column < levels.length; column += 1) {
        const level = Number(levels[column]);
        if (level === 0) continue;
        pen.globalAlpha = 0.12 + (0.88 * level) / 9;
        pen.beginPath();
        pen.arc((column + 0.5) * wide, (row + 0.5) * high, 0.48 * Math.min(wide, high), 0, 2 * Math.PI);
        pen.fill();
      }
    });
    pen.globalAlpha = 1;
    const x = ((this.#point.longitude - west) / (east - west)) * width;
    const y = ((north - this.#point.latitude) / (north - south)) * height;
    pen.lineWidth = 3 * scale;
    pen.strokeStyle = style.getPropertyValue("--paper");
    pen.fillStyle = style.getPropertyValue("--point");
    pen.beginPath();
    pen.arc(x, y, 8 * scale, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }
}
