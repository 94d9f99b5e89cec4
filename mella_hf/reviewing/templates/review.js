"use strict";
// One sample at a time. A decision is sent again only when no answer came at all: the server may be on its way up.
// Any answer that is not "saved" is shown with its reason, and the decision stays on the page.

const $ = (id) => document.getElementById(id);
const state = { sample: null, settings: null, mode: "judge", sending: false, last: null };

async function call(path, options) {
  const answer = await fetch(path, options); // throws when there is no answer
  let body = null;
  try {
    body = JSON.parse(await answer.text());
  } catch (error) {
    if (answer.ok) throw Object.assign(new Error("The answer of the server cannot be read. Load the page again."), { refused: true });
  }
  if (!answer.ok) throw Object.assign(new Error((body && body.error) || `The server refused it (status ${answer.status}).`), { refused: true });
  return body;
}

function say(message) {
  $("notice").textContent = message || "";
  $("notice").hidden = !message;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Tries until the server answers: it may be on its way up again.
async function insist(request) {
  for (let wait = 250; ; wait = Math.min(2 * wait, 4000)) {
    try {
      const answer = await request();
      say("");
      return answer;
    } catch (error) {
      if (error.refused) throw error;
      say("The server does not answer. Your last decision is kept here and sent as soon as it does.");
      await pause(wait);
    }
  }
}

function fill(element, text, sample) {
  element.textContent = text;
  element.lang = sample.language;
  element.dir = sample.direction;
}

function show(sample) {
  state.sample = sample;
  $("sample").hidden = !sample;
  $("done").hidden = Boolean(sample);
  for (const button of document.querySelectorAll(".undo")) button.disabled = !state.last;
  close();
  if (!sample) return;
  $("image").src = sample.image;
  if (state.mode === "judge") {
    $("language").textContent = sample.language_name;
    $("score").textContent = sample.score === null ? "" : `quality estimate ${sample.score.toFixed(2)}`;
    fill($("text"), sample.text, sample);
    $("english").textContent = sample.english || "";
    $("source").hidden = !sample.english;
    const earlier = sample.earlier;
    $("earlier").hidden = !earlier;
    $("earlier").textContent = earlier ? `You said: ${[earlier.action, earlier.reason, earlier.text].filter(Boolean).join(", ")}` : "";
    $("text").focus({ preventScroll: true });
  } else {
    fill($("prompt"), sample.prompt, sample);
    for (const side of ["left", "right"]) fill($(side).querySelector("span"), sample[side], sample);
  }
  window.scrollTo(0, 0);
}

function close() {
  $("editor").hidden = $("rejection").hidden = true;
  $("actions").hidden = $("text").hidden = false;
  $("other").value = "";
}

async function next() {
  const order = $("order").value || "random";
  const { sample, samples, done, mine, orders } = await insist(() => call(`api/next?order=${order}`));
  offer(orders, order);
  $("bar").setAttribute("aria-valuenow", done);
  $("bar").setAttribute("aria-valuemax", samples);
  $("bar").firstElementChild.style.width = `${(100 * done) / samples}%`;
  $("count").textContent = `${done} of ${samples}, ${mine} by you`;
  show(sample);
}

// The orders that have something left, each with how many; the chosen one stays even when it is used up.
function offer(orders, chosen) {
  const titles = { worst: "the lowest scores", random: "at random", disagreement: "where reviewers disagree" };
  const select = $("order");
  select.replaceChildren();
  for (const order of new Set([...Object.keys(orders), chosen])) {
    select.append(new Option(`${titles[order]} (${orders[order] || 0})`, order, order === chosen, order === chosen));
  }
  const others = Object.keys(orders).filter((order) => order !== chosen && orders[order]);
  $("end").textContent = others.length
    ? `No sample is left in this order. There is more: ${others.map((order) => `${titles[order]} (${orders[order]})`).join(", ")}.`
    : "You have seen every sample that needs you. Thank you.";
}

async function decide(action, extra) {
  if (!state.sample || state.sending) return;
  state.sending = true;
  const body = JSON.stringify({ id: state.sample.id, language: state.sample.language, action, ...extra });
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body };
  try {
    await insist(() => call("api/decisions", options));
    state.last = { id: state.sample.id, language: state.sample.language };
    await next();
  } catch (error) {
    say(error.message);
  } finally {
    state.sending = false;
  }
}

function edit() {
  $("editor").hidden = false;
  $("actions").hidden = $("text").hidden = true;
  const earlier = state.sample.earlier;
  fill($("edited"), "", state.sample);
  $("edited").value = (earlier && earlier.text) || state.sample.text;
  $("edited").focus();
}

function reject() {
  $("rejection").hidden = false;
  $("actions").hidden = true;
  $("reasons").querySelector("button").focus();
}

async function back() {
  if (state.sending) return;
  const before = state.sample
    ? `?before=${encodeURIComponent(state.sample.id)}&language=${encodeURIComponent(state.sample.language)}` : "";
  try {
    show((await insist(() => call(`api/back${before}`))).sample);
  } catch (error) {
    say(error.message);
  }
}

// Takes the last decision of this page back and shows its sample again.
async function undo() {
  if (!state.last || state.sending) return;
  state.sending = true;
  const { id, language } = state.last;
  const body = JSON.stringify({ id, language, action: "undo" });
  try {
    const { sample } = await insist(() => call("api/back"));
    await insist(() => call("api/decisions", { method: "POST", headers: { "Content-Type": "application/json" }, body }));
    state.last = null;
    show({ ...sample, earlier: null });
  } catch (error) {
    say(error.message);
  } finally {
    state.sending = false;
  }
}

// Keys by their place on the keyboard, so that they work under an Arabic or Cyrillic layout too.
const KEYS = {
  judge: { KeyA: () => decide("accept"), KeyE: edit, KeyR: reject, KeyS: () => decide("skip"), KeyB: back, KeyU: undo },
  compare: {
    Digit1: () => decide("left"), Digit2: () => decide("right"), Digit3: () => decide("tie"), KeyS: () => decide("skip"),
    KeyU: undo,
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey && event.key === "Enter" && !$("editor").hidden) return $("editor").requestSubmit();
  if (event.key === "Escape") return close();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.matches("input, textarea, select")) return;
  let action = KEYS[state.mode][event.code];
  if (!$("rejection").hidden) {
    const reason = /^Digit[1-9]$/.test(event.code) && $("reasons").children[Number(event.code[5]) - 1];
    action = reason ? () => reason.click() : null;
  }
  if (!action || (!state.sample && action !== back && action !== undo)) return;
  event.preventDefault();
  action();
});

$("editor").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("edited").value.trim();
  if (text === state.sample.text.trim()) return decide("accept"); // nothing was changed
  return decide("edit", { text });
});
$("rejection").addEventListener("submit", (event) => {
  event.preventDefault();
  const reason = $("other").value.trim();
  return reason ? decide("reject", { reason }) : $("other").focus();
});
for (const id of ["cancel-edit", "cancel-rejection"]) $(id).addEventListener("click", close);
for (const [id, action] of Object.entries({
  accept: () => decide("accept"), edit, reject, skip: () => decide("skip"), back,
  left: () => decide("left"), right: () => decide("right"), tie: () => decide("tie"), "skip-pair": () => decide("skip"),
  undo, "undo-pair": undo, "undo-last": undo,
})) $(id).addEventListener("click", action);
$("order").addEventListener("change", () => { $("order").blur(); next(); });

async function start() {
  state.settings = await insist(() => call("api/settings"));
  state.mode = state.settings.mode;
  $("judge").hidden = state.mode !== "judge";
  $("compare").hidden = state.mode !== "compare";
  $("reviewer").textContent = state.settings.reviewer;
  $("order").parentElement.hidden = state.mode === "compare";
  $("guidelines").hidden = !state.settings.guidelines;
  $("rules").innerHTML = state.settings.guidelines; // rendered by the server, which passes no markup of the file on
  state.settings.reasons.forEach((reason, i) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const key = Object.assign(document.createElement("kbd"), { textContent: i + 1 });
    button.append(key, reason);
    button.addEventListener("click", () => decide("reject", { reason }));
    $("reasons").append(button);
  });
  if (state.mode === "judge") $("order").append(new Option("", "worst"));
  await next();
}

start().catch((error) => say(error.message));
