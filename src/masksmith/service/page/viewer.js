/* The opened picture with its mask in one canvas: zoom, pan, and the pixel that is pointed at.
   Rule: only what is seen is coloured, each screen pixel from its own picture pixel, so that a
   click answers as quickly for a large picture as for a small one. */

const STEP = 1.25;
const MOST_ZOOM = 64;
const GAP_PX = 4;

export class Viewer {
  /** `onPoint(point, byKeyboard)` hears which pixel is pointed at: {x, y}, or null. */
  constructor(canvas, onPoint) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.sheet = document.createElement("canvas").getContext("2d");
    this.onPoint = onPoint;
    this.look = { layout: "blend", opacity: 0.55 };
    this.pointers = new Map();
    this.clear();
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.listen();
  }

  /** Show a picture (an ImageBitmap, or null) and its layers. */
  show(picture, layers) {
    this.clear();
    Object.assign(this, { picture, layers });
    this.fit();
  }

  clear() {
    this.picture?.close();
    Object.assign(this, { picture: null, layers: null, lut: null, ramp: null, point: null });
    Object.assign(this, { scale: 1, cx: 0, cy: 0, fitted: true, by: "mouse" });
    this.draw();
  }

  /** Colours by key; with a ramp, colours by confidence where the key has one. */
  color(lut, ramp = null) {
    Object.assign(this, { lut, ramp });
    this.draw();
  }

  arrange(look) {
    const before = this.look.layout;
    this.look = { ...this.look, ...look };
    if (this.look.layout !== before && this.fitted) this.fit();
    this.draw();
  }

  /** The parts of the canvas, each with the same view: beside each other, or one above the other. */
  panes() {
    const { width: w, height: h } = this.canvas;
    if (this.look.layout === "blend") return [{ x: 0, y: 0, w, h, picture: true, mask: this.look.opacity }];
    const gap = GAP_PX * devicePixelRatio;
    const half = Math.max(1, Math.floor(((w >= h ? w : h) - gap) / 2));
    const size = w >= h ? { w: half, h } : { w, h: half };
    const second = w >= h ? { x: w - half, y: 0 } : { x: 0, y: h - half };
    return [{ x: 0, y: 0, ...size, picture: true, mask: 0 }, { ...second, ...size, picture: false, mask: 1 }];
  }

  fit() {
    if (!this.layers) return;
    const [{ w, h }] = this.panes();
    const { width, height } = this.layers;
    this.least = Math.min(w / width, h / height);
    Object.assign(this, { scale: this.least, cx: width / 2, cy: height / 2, fitted: true });
    this.draw();
  }

  /** Larger or smaller by a factor; what is at x, y (from a pane's middle) stays there. */
  zoom(factor, x = 0, y = 0) {
    if (!this.layers) return;
    const most = Math.max(MOST_ZOOM * devicePixelRatio, this.least);
    const scale = Math.min(Math.max(this.scale * factor, this.least / 2), most);
    this.cx += x / this.scale - x / scale;
    this.cy += y / this.scale - y / scale;
    this.scale = scale;
    this.pan(0, 0);
  }

  /** Move the view by picture pixels; its middle stays in the picture. */
  pan(x, y) {
    if (!this.layers) return;
    this.cx = Math.min(Math.max(this.cx + x, 0), this.layers.width);
    this.cy = Math.min(Math.max(this.cy + y, 0), this.layers.height);
    this.fitted = false;
    this.draw();
  }

  resize() {
    const w = Math.max(1, Math.round(this.canvas.clientWidth * devicePixelRatio));
    const h = Math.max(1, Math.round(this.canvas.clientHeight * devicePixelRatio));
    if (w === this.canvas.width && h === this.canvas.height) return;
    Object.assign(this.canvas, { width: w, height: h });
    if (this.fitted) this.fit();
    this.paint(); // at once: a resized canvas is empty
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => this.paint());
  }

  paint() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    const { context, canvas } = this;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.layers) return;
    const panes = this.panes();
    panes.forEach((pane, number) => {
      context.save();
      context.beginPath();
      context.rect(pane.x, pane.y, pane.w, pane.h);
      context.clip();
      if (pane.picture) this.paintPicture(pane);
      if (pane.mask && this.lut) this.paintMask(pane);
      // A mouse marks its own place; elsewhere a cross does.
      if (this.point && (this.by === "keyboard" || this.by === "touch" || number !== this.inPane)) this.paintCross(pane);
      context.restore();
    });
  }

  /** Where a picture pixel lies on the canvas. */
  place(pane, x, y) {
    return [pane.x + pane.w / 2 + (x - this.cx) * this.scale, pane.y + pane.h / 2 + (y - this.cy) * this.scale];
  }

  paintPicture(pane) {
    if (!this.picture) return;
    const [x, y] = this.place(pane, 0, 0);
    this.context.imageSmoothingEnabled = this.scale < 3; // single pixels are to be seen as such
    this.context.imageSmoothingQuality = "medium";
    this.context.drawImage(this.picture, x, y, this.layers.width * this.scale, this.layers.height * this.scale);
  }

  paintMask(pane) {
    const { width, height, keys, confidence } = this.layers;
    const { lut, ramp } = this;
    const { w, h } = pane;
    if (this.image?.width !== w || this.image?.height !== h) {
      Object.assign(this.sheet.canvas, { width: w, height: h });
      this.image = this.sheet.createImageData(w, h);
    }
    const out = new Uint32Array(this.image.data.buffer);
    const columns = Int32Array.from({ length: w }, (_, x) => Math.floor(this.cx + (x + 0.5 - w / 2) / this.scale));
    const first = columns.findIndex((x) => x >= 0);
    let end = w;
    while (end > 0 && columns[end - 1] >= width) end -= 1;
    out.fill(0);
    for (let y = 0; y < h; y += 1) {
      const row = Math.floor(this.cy + (y + 0.5 - h / 2) / this.scale);
      if (row < 0 || row >= height || first < 0) continue;
      for (let x = first, to = y * w + first; x < end; x += 1, to += 1) {
        const at = row * width + columns[x];
        const color = lut[keys[at]];
        out[to] = ramp && color ? ramp[confidence[at]] : color;
      }
    }
    this.sheet.putImageData(this.image, 0, 0);
    this.context.globalAlpha = pane.mask;
    this.context.drawImage(this.sheet.canvas, pane.x, pane.y);
    this.context.globalAlpha = 1;
  }

  paintCross(pane) {
    const [x, y] = this.place(pane, this.point.x + 0.5, this.point.y + 0.5).map(Math.round);
    const arm = 9 * devicePixelRatio;
    // Light on dark, so that it is seen on any picture.
    for (const [color, wide] of [["#000", 4], ["#fff", 1.5]]) {
      this.context.strokeStyle = color;
      this.context.lineWidth = wide * devicePixelRatio;
      this.context.beginPath();
      this.context.moveTo(x - arm, y);
      this.context.lineTo(x + arm, y);
      this.context.moveTo(x, y - arm);
      this.context.lineTo(x, y + arm);
      this.context.stroke();
    }
  }

  /** The pixel at x, y of the view, told on. */
  pointAt(x, y, by) {
    if (!this.layers) return;
    const at = { x: Math.floor(this.cx + x / this.scale), y: Math.floor(this.cy + y / this.scale) };
    if (by === "keyboard") { // its cross marks the middle, which may lie on the picture's very edge
      at.x = Math.min(at.x, this.layers.width - 1);
      at.y = Math.min(at.y, this.layers.height - 1);
    }
    const inside = at.x >= 0 && at.y >= 0 && at.x < this.layers.width && at.y < this.layers.height;
    this.point = inside ? at : null;
    this.by = by;
    this.onPoint(this.point, by === "keyboard");
    this.draw();
  }

  leave() {
    if (!this.point) return;
    this.point = null;
    this.onPoint(null, false);
    this.draw();
  }

  /** An event's place, from the middle of the pane that it is in. */
  local(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * devicePixelRatio;
    const y = (event.clientY - box.top) * devicePixelRatio;
    const panes = this.panes();
    const found = panes.findIndex((p) => x >= p.x && y >= p.y && x < p.x + p.w && y < p.y + p.h);
    this.inPane = Math.max(found, 0);
    const pane = panes[this.inPane];
    return { x: x - pane.x - pane.w / 2, y: y - pane.y - pane.h / 2 };
  }

  listen() {
    const on = (name, work, options) => this.canvas.addEventListener(name, work, options);
    on("wheel", (event) => {
      event.preventDefault();
      const { x, y } = this.local(event);
      const lines = event.deltaMode ? event.deltaY * 16 : event.deltaY;
      this.zoom(Math.exp(-Math.min(Math.max(lines, -200), 200) * (event.ctrlKey ? 0.01 : 0.002)), x, y);
    }, { passive: false });
    on("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.local(event));
      this.move(event);
    });
    on("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) on(name, (event) => this.pointers.delete(event.pointerId));
    on("pointerleave", (event) => { if (event.pointerType !== "touch") this.leave(); });
    on("blur", () => this.leave());
    on("keydown", (event) => this.key(event));
  }

  move(event) {
    const now = this.local(event);
    const before = this.pointers.get(event.pointerId);
    if (before) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
        const apart = (p) => Math.max(Math.hypot(p.x - other.x, p.y - other.y), 1);
        this.zoom(apart(now) / apart(before), middle.x, middle.y);
      }
      const share = other ? 2 : 1; // each of two fingers moves the middle by half
      this.pan((before.x - now.x) / this.scale / share, (before.y - now.y) / this.scale / share);
      this.pointers.set(event.pointerId, now);
    }
    this.pointAt(now.x, now.y, event.pointerType);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.layers) return;
    const [{ w, h }] = this.panes();
    const far = (size) => (event.shiftKey ? 1 : size / this.scale / 10);
    const work = {
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      "_": () => this.zoom(1 / STEP),
      0: () => this.fit(),
      ArrowLeft: () => this.pan(-far(w), 0),
      ArrowRight: () => this.pan(far(w), 0),
      ArrowUp: () => this.pan(0, -far(h)),
      ArrowDown: () => this.pan(0, far(h)),
    }[event.key];
    if (!work) return;
    event.preventDefault();
    work();
    this.pointAt(0, 0, "keyboard");
  }
}
