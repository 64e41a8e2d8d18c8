/* What the service found in one picture: a class and a confidence for each pixel, and their colours.
   Rule: it computes, and touches nothing of the page. */

// Rows are read back in strips of this many pixels: canvases of whole large pictures are refused.
const STRIP_PX = 4_000_000;
// Of classes that overlap a bit each; this one stands alone where the picture has a gap.
const GAP_BIT = 1 << 15;
// From unsure to sure; style.css draws the same.
const RAMP = [[255, 225, 100], [243, 134, 60], [182, 54, 103], [92, 32, 120], [24, 18, 66]];

/** Read the PNG of layers: `keys` says the class (or its bits), `confidence` 0 to 255, `counts` how often a key is. */
export async function decode(blob, overlapping) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const keys = overlapping ? new Uint16Array(width * height) : new Uint8Array(width * height);
  const confidence = new Uint8Array(width * height);
  const counts = new Uint32Array(overlapping ? 65536 : 256);
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP_PX / width)));
  const context = sheet(width, rows);
  for (let top = 0; top < height; top += rows) {
    const n = Math.min(rows, height - top);
    context.drawImage(bitmap, 0, top, width, n, 0, 0, width, n);
    const { data } = context.getImageData(0, 0, width, n);
    for (let i = 0, to = top * width; i < data.length; i += 4, to += 1) {
      const key = overlapping ? data[i] | (data[i + 2] << 8) : data[i];
      keys[to] = key;
      confidence[to] = data[i + 1];
      counts[key] += 1;
    }
    await new Promise((resolve) => setTimeout(resolve)); // the page stays alive meanwhile
  }
  bitmap.close();
  return { width, height, keys, confidence, counts };
}

/** The share of each class in all pixels that the picture has, 0 to 1. */
export function shares(layers, classes, overlapping) {
  // Gaps of a picture have a number that no class has.
  const total = (overlapping
    ? layers.width * layers.height - layers.counts[GAP_BIT]
    : classes.reduce((sum, c) => sum + layers.counts[c.index], 0)) || 1;
  return classes.map(({ index }) => {
    let found = 0;
    layers.counts.forEach((count, key) => { if (count && has(key, index, overlapping)) found += count; });
    return found / total;
  });
}

/** Is a key one of a picture's gap, where classes overlap? */
export function isGap(key) {
  return key === GAP_BIT;
}

export function has(key, index, overlapping) {
  return overlapping ? Boolean((key >> index) & 1) : key === index;
}

/** The colour of each class over this picture: grey would not be seen on grey. */
export function tints(classes, isGrey) {
  return classes.map(({ index, color, tint }) =>
    isGrey && index > 0 && color.every((v) => v === color[0]) ? tint : color);
}

/** What colour (as four bytes) stands for each key; 0 where nothing of it is to be seen. */
export function palette(layers, classes, colours, shown, overlapping) {
  const found = new Uint32Array(layers.counts.length);
  layers.counts.forEach((count, key) => {
    if (!count) return;
    const seen = colours.filter((_, k) => shown.has(classes[k].index) && has(key, classes[k].index, overlapping));
    if (seen.length) found[key] = bytes([0, 1, 2].map((c) => seen.reduce((sum, v) => sum + v[c], 0) / seen.length));
  });
  return found;
}

/** Colours of the confidences 0 to 255; `least` is the smallest that can be. */
export function ramp(least) {
  return Uint32Array.from({ length: 256 }, (_, value) => {
    const at = Math.min(Math.max((value / 255 - least) / (1 - least), 0), 1) * (RAMP.length - 1);
    const low = Math.min(Math.floor(at), RAMP.length - 2);
    return bytes(RAMP[low].map((v, c) => v + (RAMP[low + 1][c] - v) * (at - low)));
  });
}

/** Does a picture have no colours? A small copy tells. */
export function isGrey(bitmap) {
  const context = sheet(64, 64);
  context.drawImage(bitmap, 0, 0, 64, 64);
  const { data } = context.getImageData(0, 0, 64, 64);
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
  }
  return true;
}

/** Red first in memory: the order of ImageData where numbers are stored low byte first, as everywhere today. */
function bytes([r, g, b]) {
  return ((255 << 24) | (Math.round(b) << 16) | (Math.round(g) << 8) | Math.round(r)) >>> 0;
}

function sheet(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.globalCompositeOperation = "copy";
  return context;
}
