/* All that is asked of the service.
   Rule: what comes back is an answer, or a Fault with a sentence that a person understands. */

const MOST_TRIES = 6;
const LONGEST_WAIT_S = 60;

let token = "";
let asking = null;
let askPerson = async () => "";

/** An error whose message is meant to be read. */
export class Fault extends Error {}

/** Say how a token is asked for: `ask(refused)` resolves to it, or to "" where there is none. */
export function useToken(ask) {
  askPerson = ask;
}

export async function models() {
  return (await (await send("v1/models", {}, {})).json()).models;
}

export async function model(name) {
  return (await send("v1/model", { model: name }, {})).json();
}

/** One output of the service for a picture: `blob`, and the `name` to save it as. `tell` hears of waiting, `signal` stops it. */
export async function segment(file, output, model, { tell = () => {}, signal } = {}) {
  const body = new FormData();
  body.append("picture", file, file.name);
  const answer = await send("v1/segment", { output, model }, { method: "POST", body, signal }, tell);
  const name = /filename\*=UTF-8''([^;]+)/i.exec(answer.headers.get("Content-Disposition") ?? "")?.[1];
  return { blob: await guarded(() => answer.blob(), signal), name: name && decodeURIComponent(name) };
}

async function send(path, query, options, tell = () => {}) {
  const url = new URL(path, document.baseURI);
  url.search = new URLSearchParams(query);
  for (let tries = 1; ; ) {
    const used = token;
    const headers = used ? { Authorization: `Bearer ${used}` } : {};
    const answer = await guarded(() => fetch(url, { ...options, headers }), options.signal);
    if (answer.ok) return answer;
    if (answer.status === 401) {
      await renew(used);
    } else if (answer.status === 503 && tries < MOST_TRIES) {
      tries += 1;
      await wait(seconds(answer), options.signal, tell);
    } else {
      throw new Fault(await sentence(answer));
    }
  }
}

/** Browsers say "Failed to fetch" where nothing answers; a person is told what that means. */
async function guarded(work, signal) {
  try {
    return await work();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Fault("The service does not answer. See whether it is still running, then try again.");
  }
}

/** Pictures that wait at the same time share one question for the token. */
async function renew(used) {
  if (token !== used) return;
  asking ??= askPerson(used !== "").finally(() => { asking = null; });
  const given = await asking;
  if (!given) throw new Fault("This service needs an access token. Ask whoever runs it, then try again.");
  if (/[^\x21-\x7e]/.test(given)) {
    throw new Fault("This token has letters or spaces that no token has. Copy it once more, then try again.");
  }
  token = given;
}

function seconds(answer) {
  const told = Number(answer.headers.get("Retry-After"));
  return Math.min(Math.max(Number.isFinite(told) ? told : 0, 1), LONGEST_WAIT_S);
}

function wait(time_s, signal, tell) {
  tell(`The service is busy. Trying again in ${Math.ceil(time_s)} s.`);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, time_s * 1000);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

const ORDINARY = {
  413: "This picture is larger than the service takes.",
  415: "The service cannot read this kind of file.",
  503: "The service is busy. Try again in a minute.",
  504: "The service took too long for this picture. Try a smaller one.",
};

/** The service's own sentence; something between page and service may answer without one. */
async function sentence(answer) {
  let told = "";
  try {
    told = (await answer.json()).error.message;
  } catch { /* no JSON, or another's */ }
  return told || ORDINARY[answer.status] || `The service answered with an error (${answer.status}).`;
}
