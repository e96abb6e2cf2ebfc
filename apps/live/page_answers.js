// Answers with their evidence, and what the memories decide. A part of page.js.
const OUTCOMES = {
  answered: "", not_observed: "not seen", not_detectable: "cannot be seen", not_covered: "not looked at", ambiguous: "several fit",
  not_understood: "not understood", refused: "",
};
const QUESTIONS = ["what was seen?", "when did the first person appear?", "how many cars were there at once?", "was there a dog?"];
const MOST_ANSWERS = 20;
const TIME = /((?:\d+:)?\d+:\d\d\.\d)/; // as answers write it
let answers = []; // newest first
let replayed = false; // the video that comes is the one before, from its start: answers stay

const seconds = (text) => text.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);

function look(time_s) {
  if (time_s > (state.time_s ?? -1) + 0.2) {
    say(`The video has not come to ${clock(time_s)} yet.`);
    return;
  }
  send({ do: "look", time_s });
  parts.viewer.element.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

// A sentence whose times lead to their moments where there are pictures to look at.
const with_times = (text) => text.split(TIME).map((part, at) => (at % 2 && shown
  ? make("button", { type: "button", class: "sv-link", title: `Look at ${part}`, onclick: () => look(seconds(part)) }, part) : part));

function draw_answers() {
  const place = parts.answer;
  if (!place) return;
  renew(place, [answers.map((one) => [one.number, one.is_earlier]), !shown], () => (answers.length ? answers.map(one_answer) : [
    make("p", { class: "sv-hint" }, "Answers come from what was seen so far, with the moments that prove them."),
    make("div", { class: "sv-chips" }, ...QUESTIONS.map((text) => make("button", { type: "button", class: "sv-chip", onclick: () => put_question(text) }, text))),
  ]));
}

let num_answers = 0;
function take_answer(given) {
  num_answers += 1;
  answers.unshift({ ...given, number: num_answers, asked_s: shown ? state.time_s : null });
  answers.length = Math.min(answers.length, MOST_ANSWERS);
}

function one_answer(given, at) {
  const tag = OUTCOMES[given.outcome] ?? given.outcome;
  const facts = [given.is_earlier ? "of the run before" : null, given.asked_s == null ? null : `asked at ${clock(given.asked_s)}`, given.confidence == null ? null : `confidence ${given.confidence.toFixed(2)}`, tag || null];
  const proofs = given.evidence.map((one) =>
    make(shown ? "button" : "div", { class: "sv-proof", ...(shown ? { type: "button", title: `Look at ${one.clock}`, onclick: () => look(one.time_s) } : {}) },
      one.url ? make("img", { src: one.url, alt: one.boxed ? `Object ${one.object} in its box` : "" }) : make("div", { class: "sv-nothing" }),
      make("span", { class: "sv-time" }, `${one.clock} · frame ${one.frame}`), make("span", { class: "sv-small" }, one.claim)));
  return make("div", { class: `sv-answer ${given.outcome}` },
    make("p", { class: "sv-question" }, given.question),
    make("p", { class: "sv-text" }, ...with_times(given.text)),
    make("p", { class: "sv-small" }, facts.filter((one) => one).join(" · ")),
    proofs.length ? make("details", { class: "sv-more", open: at === 0 }, make("summary", {}, `Evidence (${proofs.length})`), make("div", { class: "sv-evidence" }, ...proofs)) : null);
}

function put_question(text) {
  const field = document.querySelector("#sv-question textarea, #sv-question input");
  if (!field) return;
  const prototype = field.tagName === "TEXTAREA" ? HTMLTextAreaElement.prototype : HTMLInputElement.prototype;
  Object.getOwnPropertyDescriptor(prototype, "value").set.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

// ---- what the memories decide ----------------------------------------------------------------------------
let fed = -1;
function draw_feed() {
  const place = parts.feed;
  if (!place) return;
  const lines = state.feed ?? [];
  reveal("feed", lines.length);
  const latest = lines.length ? lines.at(-1).number + lines.at(-1).times / 1000 : -1;
  const is_read = place.matches(":hover") || place.contains(document.activeElement) || place.querySelector("details[open]");
  if (latest === fed || (is_read && lines.length && latest > fed)) return;
  fed = latest;
  place.replaceChildren(heading("What the memories decide"), make("div", { class: "sv-feed", tabindex: 0 }, ...lines.slice().reverse().map(feed_line)));
}

function feed_line(line) {
  const { event, reason, bytes: size, numbers } = line.details;
  const values = Object.entries(numbers).map(([name, value]) => `${name.replaceAll("_", " ")} ${Number(value.toFixed(3))}`);
  return make("div", { class: "sv-line" },
    make("button", { type: "button", class: "sv-time", title: "Look at this moment", onclick: () => look(line.time_s) }, line.clock),
    make("details", { class: "sv-more" },
      make("summary", {}, `${line.text}${line.times > 1 ? ` (${line.times}×)` : ""}`),
      make("span", { class: "sv-small" }, `${line.memory}, frame ${line.frame}: ${reason}`),
      make("span", { class: "sv-small" }, [event, ...values, `${bytes(size)} in use`].join(" · "))));
}
