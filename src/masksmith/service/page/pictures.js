/* The pictures that were handed in, each with what has become of it, and their list on the page.
   Rule: names and sentences are text, never markup. */

import * as api from "./api.js";

// Two at a time: one is sent while the other is computed; more would only queue up.
const AT_ONCE = 2;

const WORDS = { waiting: "Waiting", working: "Working …", done: "Done", failed: "Failed" };

export class Pictures {
  /** `onOpen(item)`: a person, or the list, opens it. `onChange(item)`: its state is another. */
  constructor({ onOpen, onChange }) {
    Object.assign(this, { onOpen, onChange, items: [], current: null, info: null });
    this.list = document.getElementById("items");
  }

  add(files) {
    for (const file of files) {
      const item = { file, name: file.name || "picture" };
      this.items.push(item);
      this.list.append(this.row(item));
      this.reset(item);
    }
    if (!this.current && this.items.length) this.open(this.items[0]);
    this.work();
  }

  open(item) {
    this.current = item;
    for (const other of this.items) {
      other.button.setAttribute("aria-current", String(other === item));
    }
    this.onOpen(item);
  }

  /** Once more, or all of them with another model. */
  retry(...items) {
    for (const item of items) this.reset(item);
    this.work();
  }

  remove(item) {
    const at = this.items.indexOf(item);
    this.stop(item);
    this.items.splice(at, 1);
    item.row.remove();
    const next = this.items[Math.min(at, this.items.length - 1)] ?? null;
    if (this.current === item) {
      this.current = null;
      if (next) this.open(next);
      else this.onOpen(null);
    }
    (next?.button ?? document.getElementById("choose")).focus();
    this.count();
    this.work();
  }

  stop(item) {
    item.abort?.abort();
    item.abort = null;
  }

  reset(item) {
    this.stop(item);
    Object.assign(item, { layers: null, preview: null, sentence: "" });
    this.turn(item, "waiting");
  }

  work() {
    const busy = this.items.filter((item) => item.state === "working").length;
    const next = this.items.filter((item) => item.state === "waiting").slice(0, AT_ONCE - busy);
    for (const item of next) if (item.state === "waiting") this.process(item);
  }

  async process(item) {
    const abort = new AbortController();
    item.abort = abort;
    this.turn(item, "working");
    try {
      await this.check(item);
      const tell = (words) => this.note(item, words);
      const { blob } = await api.segment(item.file, "layers", this.info.name, { tell, signal: abort.signal });
      if (item.abort !== abort) return; // removed or begun anew meanwhile
      item.layers = blob;
      this.turn(item, "done");
    } catch (error) {
      if (item.abort !== abort) return;
      item.sentence = error.message;
      this.turn(item, "failed");
    }
    item.abort = null;
    this.work();
  }

  /** What the service would refuse anyway need not be sent first. A promise: the next one's turn comes after this one's. */
  async check(item) {
    if (item.file.unreadable) throw new api.Fault("The browser could not read it. See whether it can be opened, then add it again.");
    const most = this.info.limits?.max_bytes;
    if (most && item.file.size > most) {
      throw new api.Fault(`The file has ${bytes(item.file.size)}; this service takes files of up to ${bytes(most)}.`);
    }
  }

  turn(item, state) {
    item.state = state;
    item.row.dataset.state = state;
    item.again.hidden = state !== "failed";
    this.note(item, WORDS[state]);
    this.count();
    this.onChange(item);
  }

  note(item, words) {
    item.said.textContent = words;
    if (words !== WORDS[item.state]) document.getElementById("status").textContent = words;
  }

  count() {
    const of = (state) => this.items.filter((item) => item.state === state).length;
    const [all, done, failed] = [this.items.length, of("done"), of("failed")];
    Object.assign(document.getElementById("progress"), { max: Math.max(all, 1), value: done + failed });
    document.getElementById("progress").hidden = all === done + failed;
    document.getElementById("status").textContent =
      `${done} of ${all} done` + (failed ? `, ${failed} failed` : "");
  }

  row(item) {
    const make = (tag, values, ...inside) => {
      const element = Object.assign(document.createElement(tag), values);
      element.append(...inside);
      return element;
    };
    item.thumb = make("canvas", { width: 88, height: 88, className: "thumb" });
    item.thumb.setAttribute("aria-hidden", "true");
    item.said = make("span", { className: "said" });
    const words = make("span", { className: "words" }, make("span", { className: "name", textContent: item.name }), item.said);
    item.button = make("button", { type: "button", className: "open", title: item.name }, item.thumb, words);
    item.button.addEventListener("click", () => this.open(item));
    item.again = make("button", { type: "button", className: "small", textContent: "↻", title: "Try again" });
    item.again.setAttribute("aria-label", `Try ${item.name} again`);
    item.again.addEventListener("click", () => {
      this.retry(item);
      item.button.focus(); // the button that had the focus is hidden
    });
    const remove = make("button", { type: "button", className: "small", textContent: "×", title: "Remove" });
    remove.setAttribute("aria-label", `Remove ${item.name}`);
    remove.addEventListener("click", () => this.remove(item));
    item.row = make("li", {}, item.button, item.again, remove);
    return item.row;
  }
}

/** A size as a person says it. */
export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  const value = count / 1000 ** power;
  return `${value.toFixed(power && value < 10 ? 1 : 0)} ${units[power]}`;
}
