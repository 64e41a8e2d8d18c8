/* The page as a whole: it asks for the model, takes pictures in, and opens one of them.
   Rule: no state of its own but which picture and which model are being opened, and what came before the first model. */

import * as api from "./api.js";
import { askToken } from "./dialog.js";
import { receive } from "./incoming.js";
import { decode } from "./layers.js";
import { Panel } from "./panel.js";
import { bytes, Pictures } from "./pictures.js";
import { Viewer } from "./viewer.js";

// Larger pictures are kept for the screen with fewer pixels; the mask keeps all of its own.
const MOST_SHOWN_PX = 16_000_000;
// What browsers show as the service reads it.
const SHOWN_BY_BROWSERS = ["image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif"];

const $ = (id) => document.getElementById(id);

const viewer = new Viewer($("canvas"), (point, byKeyboard) => {
  $("readout").setAttribute("aria-live", byKeyboard ? "polite" : "off"); // the mouse would never let it finish
  $("readout").textContent = panel.describe(point) || "\u00a0";
});
const panel = new Panel(viewer);
const pictures = new Pictures({ onOpen: open, onChange: changed });
const early = [];
let loads = 0;

function changed(item) {
  if (item === pictures.current) open(item);
  else if (item.state === "done") local(item.file).then((picture) => { if (picture) thumbnail(item, picture).close(); });
}

async function open(item) {
  panel.close();
  $("readout").textContent = "\u00a0";
  const empty = pictures.items.length === 0;
  $("start").hidden = !empty;
  $("work").hidden = empty;
  $("add").hidden = empty;
  if (!item) return;
  $("view-title").textContent = item.name;
  if (item.state !== "done") {
    say(item.state === "failed" ? item.sentence : "The mask is being made …", item.state === "failed");
    return;
  }
  // Someone may open another picture, or choose another model, while this one is decoded.
  const made = item.layers;
  const stale = () => pictures.current !== item || item.layers !== made;
  try {
    const layers = await decode(made, pictures.info.overlapping);
    const picture = stale() ? null : await pixels(item, layers);
    if (stale()) return picture?.close();
    say("");
    thumbnail(item, picture);
    panel.show(item, layers, picture);
  } catch (error) {
    if (!stale()) say(error instanceof api.Fault ? error.message : "This browser could not show the result. It can still be saved by the command line.", true);
  }
}

/** The picture to look at: from the file where the browser shows it rightly, else from the service. */
async function pixels(item, { width, height }) {
  let picture = item.preview ? null : await local(item.file);
  if (picture && (picture.width !== width || picture.height !== height)) {
    picture.close();
    picture = null;
  }
  if (!picture) {
    item.preview ??= (await api.segment(item.file, "picture", pictures.info.name)).blob;
    picture = await createImageBitmap(item.preview);
  }
  const shrink = Math.sqrt(MOST_SHOWN_PX / (width * height));
  if (shrink >= 1) return picture;
  const size = { resizeWidth: Math.round(width * shrink), resizeHeight: Math.round(height * shrink) };
  const small = await createImageBitmap(picture, { ...size, resizeQuality: "medium" });
  picture.close();
  return small;
}

async function local(file) {
  if (!SHOWN_BY_BROWSERS.includes(file.type)) return null;
  if (file.type === "image/png") {
    // 16 bits a channel: a browser shows the upper 8, which are black where a camera has 12.
    const head = new Uint8Array(await file.slice(0, 25).arrayBuffer());
    if (head[24] === 16) return null;
  }
  return createImageBitmap(file).catch(() => null);
}

function thumbnail(item, picture) {
  const { width, height } = item.thumb;
  const scale = Math.max(width / picture.width, height / picture.height);
  const [w, h] = [picture.width * scale, picture.height * scale];
  const context = item.thumb.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
  return picture;
}

/** A sentence in place of the picture; "" takes it away. */
function say(sentence, canRetry = false) {
  $("message").hidden = !sentence;
  $("sentence").textContent = sentence;
  $("again").hidden = !canRetry;
}

async function load(name) {
  const mine = ++loads; // of two choices in a row the later one counts, whichever is answered first
  $("trouble").hidden = $("reload").hidden = true;
  try {
    const names = await api.models();
    const info = await api.model(name ?? names[0]);
    if (mine !== loads) return;
    $("model").replaceChildren(...names.map((each) => new Option(each, each, false, each === info.name)));
    $("models").hidden = names.length < 2;
    pictures.info = info;
    panel.setModel(info);
    introduce(info);
    pictures.retry(...pictures.items);
    take(early.splice(0));
  } catch (error) {
    if (mine !== loads) return;
    $("trouble").textContent = error.message;
    $("trouble").hidden = $("reload").hidden = false;
    if (pictures.info) { // the model before stays
      $("model").value = pictures.info.name;
      $("status").textContent = error.message;
    }
  }
}

function introduce(info) {
  const kind = { 1: "grey pictures", 3: "colour pictures" }[info.channels] ?? `pictures with ${info.channels} channels`;
  const most = info.limits ? `, up to ${bytes(info.limits.max_bytes)} each` : "";
  $("takes").textContent = `One, many, or a whole folder${most}. The model was trained on ${kind}.`;
  $("found").replaceChildren(...info.classes.map((entry) => {
    const item = document.createElement("li");
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    swatch.style.backgroundColor = `rgb(${entry.color.join(" ")})`;
    item.append(swatch, Object.assign(document.createElement("span"), { textContent: entry.name }));
    return item;
  }));
  $("finds").hidden = false;
}

function take(files) {
  if (!files.length) return;
  if (!pictures.info) {
    early.push(...files);
    $("takes").textContent = "Taken as soon as the service is ready.";
    return;
  }
  const first = pictures.items.length === 0;
  pictures.add(files);
  if (first) pictures.items[0].button.focus(); // the button that had the focus is gone
}

api.useToken(askToken);
receive(take);
$("model").addEventListener("change", () => load($("model").value));
$("reload").addEventListener("click", async () => {
  await load();
  // The button was hidden meanwhile, and lost the focus.
  if (document.activeElement === document.body) $($("reload").hidden ? "choose" : "reload").focus();
});
$("again").addEventListener("click", () => {
  if (!pictures.current) return;
  pictures.retry(pictures.current);
  pictures.current.button.focus(); // the button that had the focus is hidden
});
$("zoom-in").addEventListener("click", () => viewer.zoom(1.25));
$("zoom-out").addEventListener("click", () => viewer.zoom(0.8));
$("zoom-fit").addEventListener("click", () => viewer.fit());
load();
