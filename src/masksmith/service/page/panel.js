/* What stands beside the picture: how it is shown, its classes with their shares, what is saved.
   Rule: it keeps what the person chose while they go from picture to picture. */

import * as api from "./api.js";
import { bytes } from "./pictures.js";
import { has, isGap, isGrey, palette, ramp, shares, tints } from "./layers.js";

// The words of the service's outputs, in the order in which they are offered.
const DOWNLOADS = { mask: ["Mask", "PNG"], overlay: ["Overlay", "PNG"], confidence: ["Confidence", "PNG"], geojson: ["Regions", "GeoJSON"] };

const $ = (id) => document.getElementById(id);

export class Panel {
  constructor(viewer) {
    this.viewer = viewer;
    this.view = "classes";
    this.open = null;
    for (const radio of document.querySelectorAll("#panel input[type=radio]")) {
      radio.checked = radio.defaultChecked; // some browsers keep them over a reload
      radio.addEventListener("change", () => this.choose(radio.name, radio.value));
    }
    $("opacity").value = $("opacity").defaultValue;
    $("opacity").addEventListener("input", () => this.fade());
    $("all").addEventListener("click", () => this.showOnly(this.info.classes.map((c) => c.index)));
    $("none").addEventListener("click", () => this.showOnly([]));
    this.fade();
  }

  /** Another model: its classes, all seen but a black background, which would only darken the picture. */
  setModel(info) {
    this.info = info;
    const all = info.classes.map((c) => c.index);
    const clear = info.classes.filter((c) => c.index === 0 && !info.overlapping && all.length > 1 && c.color.every((v) => v === 0));
    this.shown = { classes: new Set(all.filter((k) => !clear.some((c) => c.index === k))), confidence: new Set(all) };
    this.rows = info.classes.map((entry) => this.row(entry));
    $("rows").replaceChildren(...this.rows.map((row) => row.item));
    $("sets").hidden = all.length < 5;
    const least = info.overlapping || all.length < 2 ? 0.5 : 1 / all.length;
    this.ramp = ramp(least);
    $("ramp-low").textContent = `${Math.round(100 * least)} %, unsure`;
    this.offers();
    this.close();
  }

  row(entry) {
    const item = document.createElement("li");
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox" });
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    const name = Object.assign(document.createElement("span"), { className: "name", textContent: entry.name });
    const share = Object.assign(document.createElement("span"), { className: "share" });
    box.addEventListener("change", () => {
      this.shown[this.view][box.checked ? "add" : "delete"](entry.index);
      this.recolor();
    });
    label.append(box, swatch, name, share);
    item.append(label);
    return { item, box, swatch, share };
  }

  offers() {
    const offered = this.info.outputs.filter((output) => output.name in DOWNLOADS);
    offered.sort((a, b) => Object.keys(DOWNLOADS).indexOf(a.name) - Object.keys(DOWNLOADS).indexOf(b.name));
    $("downloads").replaceChildren(...offered.map((output) => {
      const button = Object.assign(document.createElement("button"), { type: "button", title: output.about });
      const [what, kind] = DOWNLOADS[output.name];
      button.append(`${what} `, Object.assign(document.createElement("span"), { className: "quiet", textContent: kind }));
      button.dataset.output = output.name;
      button.addEventListener("click", () => this.save(output, button));
      return button;
    }));
  }

  /** Show one picture's result: its file, layers, and the picture as pixels (or null). */
  show(item, layers, picture) {
    const { classes, overlapping } = this.info;
    this.open = { item, layers };
    this.colours = tints(classes, picture ? isGrey(picture) : false);
    shares(layers, classes, overlapping).forEach((share, k) => {
      this.rows[k].share.textContent = percent(share);
      this.rows[k].item.classList.toggle("absent", share === 0);
    });
    $("panel").inert = false;
    $("saved").textContent = "";
    this.viewer.show(picture, layers);
    this.recolor();
  }

  close() {
    this.open = null;
    this.colours = tints(this.info.classes, false);
    $("panel").inert = true;
    for (const row of this.rows) row.share.textContent = "";
    this.viewer.clear();
    this.recolor();
  }

  recolor() {
    const { classes, overlapping } = this.info;
    const confident = this.view === "confidence";
    this.rows.forEach((row, k) => {
      row.box.checked = this.shown[this.view].has(classes[k].index);
      row.swatch.style.backgroundColor = `rgb(${this.colours[k].join(" ")})`;
    });
    $("ramp").hidden = !confident;
    if (!this.open) return;
    const { layers } = this.open;
    const lut = palette(layers, classes, this.colours, this.shown[this.view], overlapping);
    // Where classes overlap, "none of them" is an answer too, and has its confidence.
    if (confident && overlapping) lut[0] = 0xff000000;
    this.viewer.color(lut, confident ? this.ramp : null);
  }

  showOnly(indices) {
    this.shown[this.view] = new Set(indices);
    this.recolor();
  }

  choose(name, value) {
    if (name === "layout") {
      $("fade").hidden = value !== "blend";
      this.viewer.arrange({ layout: value });
    } else {
      this.view = value;
      this.recolor();
    }
  }

  fade() {
    const value = Number($("opacity").value);
    $("opacity-text").textContent = `${value} %`;
    this.viewer.arrange({ opacity: value / 100 });
  }

  /** What is at a pixel, in words. */
  describe(point) {
    if (!this.open || !point) return "";
    const { classes, overlapping } = this.info;
    const { layers } = this.open;
    const at = point.y * layers.width + point.x;
    const names = classes.filter((c) => has(layers.keys[at], c.index, overlapping)).map((c) => c.name);
    const said = names.join(" + ") || (overlapping && !isGap(layers.keys[at]) ? "no class" : "no picture here");
    return `${said} · confidence ${Math.round(layers.confidence[at] / 2.55)} % · x ${point.x}, y ${point.y}`;
  }

  async save(output, button) {
    const { item } = this.open;
    const say = (words) => { $("saved").textContent = words; };
    button.disabled = true;
    say("Preparing the file …");
    try {
      const { blob, name: given } = await api.segment(item.file, output.name, this.info.name, { tell: say });
      const name = given ?? `${item.name.replace(/\.[^.]+$/, "")}_${output.ending}`;
      hand(blob, name);
      say(`Saved ${name}, ${bytes(blob.size)}.`);
    } catch (error) {
      say(error.message);
    }
    button.disabled = false;
    if (document.activeElement === document.body) button.focus(); // it lost the focus when it was disabled
  }
}

function hand(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // browsers may read it late
}

function percent(share) {
  if (share === 0) return "0 %";
  if (share < 0.0001) return "< 0.01 %";
  return `${(100 * share).toFixed(share < 0.01 ? 2 : 1)} %`;
}
