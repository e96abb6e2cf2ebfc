// The picture: what is said above it, clicks and boxes on it, buttons below it. A part of page.js.
function say(text, kind = "info", from = "video") {
  notice = text ? { text, kind, from } : null;
  const place = parts.viewer?.notice;
  if (!place) return;
  place.hidden = !notice;
  place.className = `sv-notice ${notice?.kind ?? ""}`;
  place.textContent = notice?.text ?? "";
}

function choose(object) {
  chosen = object;
  if (object === null && mode === "plus") mode = "point";
  draw();
}

const MODES = [
  ["point", "Point", "Click a thing to follow it, or inside a mask to correct it; drag to draw a box"],
  ["new", "New object", "Click a thing to follow it as a new object, also inside a mask (or hold Shift)"],
  ["plus", "+ Add to it", "Click a part that the chosen object lacks"],
  ["minus", "− Take off", "Click a part that is not of the object (or hold Alt)"],
];
const HINT = matchMedia("(pointer: coarse)").matches
  ? "Tap a thing to follow it, inside a mask to correct it. The buttons choose what else a tap does."
  : "Click a thing to follow it, inside a mask to correct it. Shift-click: a new object all the same. Alt-click: take that part off. Drag: a box.";
const OVER = "The video is over, so clicking is off.";
const can_click = () => shown && !shown.past && state.can_point !== false && (alive() || state.state === "opening");

function viewer(element) {
  const canvas = make("canvas", { width: 16, height: 9, class: "sv-canvas", "aria-label": "Video with what was found" });
  const mark = make("div", { class: "sv-mark", hidden: true });
  const frame = make("div", { class: "sv-box", hidden: true });
  const empty = make("div", { class: "sv-empty" });
  const badge = make("div", { class: "sv-badge", hidden: true });
  const end = make("div", { class: "sv-end", hidden: true }, make("span", {}, OVER), button("play", "Play again from the start", play_again, { text: "Play again", kind: "primary" }));
  const stage = make("div", { class: "sv-stage" }, canvas, mark, frame, empty, badge, end);
  const bar = make("div", { class: "sv-bar" });
  const facts = make("div", { class: "sv-facts" });
  const hint = make("p", { class: "sv-hint", hidden: true }, HINT);
  const said = make("div", { class: "sv-notice", role: "status", hidden: true });
  element.replaceChildren(said, stage, bar, hint, facts);
  parts.viewer = { element, canvas, mark, frame, empty, badge, end, bar, hint, facts, notice: said, stage };
  pointing(parts.viewer);
}

function pointing({ stage, canvas, mark, frame }) {
  let from = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const clip = (value) => Math.min(Math.max(value, 0), 1);
    return { x: clip((event.clientX - box.left) / box.width), y: clip((event.clientY - box.top) / box.height) };
  };
  const place = (element, one, other = null) => {
    element.hidden = false;
    element.style.left = `${100 * Math.min(one.x, other?.x ?? one.x)}%`;
    element.style.top = `${100 * Math.min(one.y, other?.y ?? one.y)}%`;
    if (other) {
      element.style.width = `${100 * Math.abs(one.x - other.x)}%`;
      element.style.height = `${100 * Math.abs(one.y - other.y)}%`;
    }
  };
  const is_drag = (one, other) => {
    const box = canvas.getBoundingClientRect();
    return Math.abs(one.x - other.x) * box.width > 8 && Math.abs(one.y - other.y) * box.height > 8;
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !shown) return;
    if (state.state === "ended" && !shown.past) say(`${OVER} Play it again to point at something.`);
    if (!alive() && state.state !== "opening") return;
    from = at(event);
    if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from && event.pointerType === "mouse" && ["point", "new"].includes(mode) && is_drag(from, at(event))) place(frame, from, at(event));
  });
  canvas.addEventListener("pointercancel", () => { from = null; frame.hidden = true; });
  canvas.addEventListener("pointerup", (event) => {
    if (!from) return;
    const one = from, other = at(event);
    from = null;
    frame.hidden = true;
    pending.set("click", { began: performance.now() });
    if (event.pointerType === "mouse" && ["point", "new"].includes(mode) && is_drag(one, other)) {
      send({ do: "box", x1: one.x, y1: one.y, x2: other.x, y2: other.y });
      return;
    }
    const on = mode !== "minus" && !event.altKey;
    const object = ["plus", "minus"].includes(mode) ? chosen : null; // null: the server looks whose mask is there
    mark.className = `sv-mark ${on ? "" : "off"}`;
    place(mark, one);
    if (state.state !== "opening") setTimeout(() => { mark.hidden = true; }, 4000);
    send({ do: "click", ...one, on, object, new: mode === "new" || event.shiftKey });
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea, button, select, [contenteditable]") || !alive()) return;
    if (event.code === "Space") { event.preventDefault(); send({ do: state.state === "playing" ? "pause" : "play" }); }
    if (event.key === ".") send({ do: "advance" });
  });
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
}

const WORDS = {
  opening: "Opening", ready: "Ready", loading: "Loading", playing: "Playing", paused: "Paused", ended: "The end",
  stopped: "Stopped", failed: "Failed", empty: "",
};

// Of the picture on the screen, whose number is drawn into it; counted as answers and events count.
const counter = () => `frame ${shown.frame}${state.source?.num_frames ? ` of 0–${state.source.num_frames - 1}` : ""} · ${clock(shown.time_s)}`;

function head_up() {
  const { badge, facts } = parts.viewer;
  const count = facts.querySelector(".sv-frame");
  if (count && shown) count.textContent = counter();
  const past = shown?.past;
  badge.hidden = !past && !busy();
  badge.textContent = past ? `Looking back at ${clock(shown.time_s)}` : pending.size ? "Loading models … your click is kept" : "Loading models …";
}

function draw_viewer() {
  const { empty, bar, facts, canvas, stage } = parts.viewer;
  const is_empty = !shown;
  stage.classList.toggle("is-empty", is_empty);
  canvas.classList.toggle("can-point", Boolean(can_click()));
  parts.viewer.hint.hidden = !can_click();
  parts.viewer.end.hidden = is_empty || state.state !== "ended" || shown.past;
  empty.hidden = !is_empty;
  if (is_empty) {
    const [title, text] = state.state === "failed"
      ? ["This did not open", "Read the message above, then choose another source."]
      : busy() ? ["Opening the video …", "The first picture comes in a moment."]
        : ["Click a video to start", "What is seen in it is found, named and followed. Then click a thing, or ask about it."];
    renew(empty, [title, sources.map((one) => [one.name, one.url?.length])], () =>
      [make("strong", {}, title), make("span", {}, text), busy() ? null : tiles()].filter((child) => child));
  }
  head_up();
  const over = ["ended", "failed", "empty"].includes(state.state) || (state.state === "stopped" && !state.num_done);
  const playing = state.state === "playing";
  bar.hidden = is_empty;
  renew(bar, [state.state, mode, Boolean(can_click()), chosen === null, shown?.past, !state.num_done, state.source?.live], () => [
    make("div", { class: "sv-group" },
      button(playing ? "pause" : "play", playing ? "Pause (space)" : "Play (space)", () => send({ do: playing ? "pause" : "play" }),
        { kind: "primary", text: playing ? "Pause" : "Play", disabled: over || state.state === "opening" }),
      state.state === "ended" && shown?.past ? button("play", "Play again from the start", play_again, { text: "Play again" }) : null,
      button("step", "One frame (.)", () => send({ do: "advance" }), { disabled: !alive() || playing || state.source?.live }),
      button("stop", "Stop: close the results; play goes on", () => send({ do: "stop" }), { disabled: !alive() || !state.num_done }),
      shown?.past ? button("now", "Back to now", () => send({ do: "look", time_s: null }), { text: "Back to now", kind: "primary" }) : null),
    make("div", { class: "sv-group sv-modes", role: "radiogroup", "aria-label": "What a click does" },
      ...MODES.map(([name, text, title]) =>
        make("button", {
          type: "button", class: `sv-button ${mode === name ? "on" : ""}`, role: "radio", "aria-checked": String(mode === name), title,
          "aria-label": text,
          disabled: !can_click() || (name === "plus" && chosen === null), onclick: () => { mode = name; draw(); },
        }, text))),
    make("div", { class: "sv-group" },
      button("save", "Stop, and save all results as an archive", () => { say("Packing the results …"); send({ do: "archive" }); },
        { text: "Export", disabled: !state.num_done })),
  ]);
  const source = state.source;
  const rate = state.frames_per_s;
  const words = [];
  if (source) {
    words.push(make("span", { class: "sv-name" }, source.name), make("span", {}, `${source.width}×${source.height}`));
    words.push(make("span", { class: `sv-state ${state.state}` }, WORDS[state.state] ?? state.state));
    if (shown) words.push(make("span", { class: "sv-frame" }, counter()));
    if (rate && playing) {
      const speed = source.rate && !source.live ? ` (${(rate / source.rate).toFixed(2)}× real time)` : "";
      words.push(make("span", {}, `${rate.toFixed(1)} frames/s${speed}`));
    }
    if (source.live) words.push(make("span", {}, `${state.num_dropped} dropped`));
    if (state.delay_s != null) words.push(make("span", { title: "From leaving the source to this screen" }, `on screen after ${state.delay_s.toFixed(2)} s`));
    if (measured.click.length) {
      words.push(make("span", { title: "From the click to its mask on this screen" }, `mask after ${(measured.click.at(-1) / 1000).toFixed(2)} s`));
    }
    if (state.shown?.depth && !state.has_depth) words.push(make("span", { class: "sv-warn" }, "no depth known for this picture"));
    if (state.warning) words.push(make("span", { class: "sv-warn" }, state.warning));
  }
  facts.replaceChildren(...words);
}
