// The live parts of the page. Gradio places the elements and calls StreamVOS.mount for each; one websocket feeds them.
// Text from outside (names, questions, answers, file names) only ever becomes text, never HTML.
(() => {
  const LOST = "The connection to the server is lost; trying again.";
  const parts = {};
  let token = null, socket = null, retry = 0, state = { state: "empty" }, shown = null, gone = false;
  let mode = "new", chosen = null, notice = null, stopCamera = null, cameras = 0, begun = false;
  const thumbnails = new Map();
  const pending = new Map(); // object: { frame, began } of clicks whose mask is still to come
  const measured = { click: [] }; // milliseconds, read by the benchmark

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick") element.addEventListener("click", value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child != null));
    return element;
  };
  const ICONS = {
    play: "M7 4v16l13-8z", pause: "M6 4h4v16H6zM14 4h4v16h-4z", step: "M5 4v16l10-8zM17 4h3v16h-3z", stop: "M5 5h14v14H5z",
    eye: "M12 5C6 5 2 12 2 12s4 7 10 7 10-7 10-7-4-7-10-7zm0 11a4 4 0 110-8 4 4 0 010 8z",
    closed: "M3 4l17 17-1.4 1.4-3.3-3.3A10 10 0 0112 19C6 19 2 12 2 12a17 17 0 014-4.6L1.6 5.4zM12 5c6 0 10 7 10 7a17 17 0 01-3 3.6L9.5 6.2A9 9 0 0112 5z",
    pen: "M4 20l1-5L16 4l4 4L9 19z", cross: "M6 4.6L4.6 6l6 6-6 6L6 19.4l6-6 6 6 1.4-1.4-6-6 6-6L18 4.6l-6 6z",
    save: "M11 3h2v9l3-3 1.4 1.4L12 16l-5.4-5.6L8 9l3 3zM4 18h16v2H4z", now: "M4 4v16l8-8zM12 4v16l8-8z",
  };
  const icon = (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  };
  const button = (name, label, act, { text = null, kind = "", disabled = false } = {}) =>
    make("button", { type: "button", class: `sv-button ${kind}`, title: label, "aria-label": label, onclick: act, disabled },
      name ? icon(name) : null, text);
  const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;
  const bytes = (n) => (n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(0)} KB` : `${(n / 1048576).toFixed(n < 10485760 ? 1 : 0)} MB`);
  const reveal = (name, is_there) => document.getElementById(`sv-${name}`)?.classList.toggle("sv-away", !is_there);
  // Make a part anew only where what it shows has changed, and leave the keyboard where it was.
  const renew = (place, key, children) => {
    const text = JSON.stringify(key);
    if (place.dataset.shows === text) return;
    place.dataset.shows = text;
    const label = place.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    place.replaceChildren(...children());
    if (label) place.querySelector(`[aria-label=${CSS.escape(label)}]`)?.focus();
  };
  const busy = () => ["opening", "loading"].includes(state.state);
  const alive = () => ["ready", "loading", "playing", "paused"].includes(state.state);

  // ---- websocket -------------------------------------------------------------------------------------------
  const send = (command) => {
    const can = socket?.readyState === WebSocket.OPEN;
    if (can) socket.send(JSON.stringify(command));
    return can;
  };
  const ours = (path) => `${location.pathname.replace(/\/$/, "")}/live/${path}`;

  // The token is this page's secret: whoever has it sees and steers this page's video.
  async function begin() {
    let given;
    try {
      given = await (await fetch(ours("pages"), { method: "POST" })).json();
    } catch {
      say(LOST, "error");
      setTimeout(begin, 2000);
      return;
    }
    if (!given.token) {
      say(given.error, "error");
      return;
    }
    token = given.token;
    connect();
  }

  function connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}${ours(`${token}/socket`)}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { retry = 0; if (notice?.text === LOST) say(null); };
    socket.onmessage = (event) => (typeof event.data === "string" ? take(JSON.parse(event.data)) : paint(event.data));
    socket.onclose = (event) => {
      if (event.code === 4404) {
        gone = true;
        say("This page was away for too long, and its video is gone. Load the page again.", "error");
      } else {
        retry = Math.min(retry + 1, 6);
        if (retry > 1) say(LOST, "error");
        setTimeout(connect, 250 * 2 ** retry);
      }
      draw();
    };
  }

  function take(message) {
    if (message.type === "state") {
      const before = state;
      state = message;
      if (state.video !== before.video) { // everything here is of the video before
        thumbnails.clear();
        pending.clear();
        shown = null;
        say(null);
        if (parts.answer && before.video) answer(parts.answer, null);
      }
      if (state.state === "failed") say(state.notice, "error");
      else if (state.notice && state.notice !== before.notice) say(state.notice, "warning");
      else if (before.notice && !state.notice && notice?.text === before.notice) say(null);
      if (chosen !== null && !state.objects?.some((one) => one.id === chosen) && !pending.has(chosen)) choose(null);
    } else if (message.type === "thumbnail") {
      thumbnails.set(message.object, message.url);
    } else if (message.type === "pointed") {
      const began = pending.get("click");
      pending.delete("click");
      if (began) pending.set(message.object, { frame: message.frame, began: began.began });
      if (mode === "new") chosen = message.object;
      say(null);
    } else if (message.type === "refused") {
      pending.delete("click");
      const of_form = ["open", "show", "ask"].includes(message.do);
      say(message.text, of_form ? "error" : "warning", of_form ? "form" : "video");
    } else if (message.type === "opened") {
      if (notice?.from === "form") say(null); // not what the video has to say of itself meanwhile
    } else if (message.type === "answer") {
      answer(parts.answer, message);
    } else if (message.type === "archive") {
      say(null);
      const link = make("a", { href: message.url, download: "" });
      document.body.append(link);
      link.click();
      link.remove();
    }
    draw();
  }

  async function paint(data) {
    const length = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const bitmap = await createImageBitmap(new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
    const canvas = parts.viewer?.canvas;
    if (!canvas) return;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    const first = shown === null;
    shown = head;
    requestAnimationFrame(() => {
      send({ do: "shown", frame: head.frame, past: head.past });
      for (const [object, click] of pending) {
        if (object !== "click" && head.frame >= click.frame) {
          pending.delete(object);
          measured.click.push(performance.now() - click.began);
          parts.viewer.mark.hidden = true;
        }
      }
    });
    if (first) draw(); else head_up();
  }

  // ---- viewer ----------------------------------------------------------------------------------------------
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
    if (object === null && (mode === "plus" || mode === "minus")) mode = "new";
    draw();
  }

  const MODES = [
    ["new", "New object", "Click an object to follow it; drag to draw a box"],
    ["plus", "+ Add to it", "Click a part that the chosen object lacks"],
    ["minus", "− Take off", "Click a part that is not the chosen object"],
  ];

  function viewer(element) {
    const canvas = make("canvas", { width: 16, height: 9, class: "sv-canvas", "aria-label": "Video with what was found" });
    const mark = make("div", { class: "sv-mark", hidden: true });
    const frame = make("div", { class: "sv-box", hidden: true });
    const empty = make("div", { class: "sv-empty" });
    const badge = make("div", { class: "sv-badge", hidden: true });
    const stage = make("div", { class: "sv-stage" }, canvas, mark, frame, empty, badge);
    const bar = make("div", { class: "sv-bar" });
    const facts = make("div", { class: "sv-facts" });
    const said = make("div", { class: "sv-notice", role: "status", hidden: true });
    element.replaceChildren(said, stage, bar, facts);
    parts.viewer = { element, canvas, mark, frame, empty, badge, bar, facts, notice: said, stage };
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
      if (!alive() || !shown || event.button) return;
      from = at(event);
      if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (from && event.pointerType === "mouse" && mode === "new" && is_drag(from, at(event))) place(frame, from, at(event));
    });
    canvas.addEventListener("pointercancel", () => { from = null; frame.hidden = true; });
    canvas.addEventListener("pointerup", (event) => {
      if (!from) return;
      const one = from, other = at(event);
      from = null;
      frame.hidden = true;
      pending.set("click", { began: performance.now() });
      if (event.pointerType === "mouse" && mode === "new" && is_drag(one, other)) {
        send({ do: "box", x1: one.x, y1: one.y, x2: other.x, y2: other.y });
        return;
      }
      const on = mode !== "minus" && !event.altKey;
      const object = mode === "new" && !event.altKey ? null : chosen;
      mark.className = `sv-mark ${on ? "" : "off"}`;
      place(mark, one);
      setTimeout(() => { mark.hidden = true; }, 4000);
      send({ do: "click", ...one, on, object });
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

  function head_up() {
    const { badge } = parts.viewer;
    const past = shown?.past;
    badge.hidden = !past && !busy();
    badge.textContent = past ? `Looking back at ${clock(shown.time_s)}` : state.state === "opening" ? "Opening …" : "Loading models …";
  }

  function draw_viewer() {
    const { empty, bar, facts, canvas, stage } = parts.viewer;
    const is_empty = !shown;
    stage.classList.toggle("is-empty", is_empty);
    canvas.classList.toggle("can-point", alive() && !shown?.past && state.can_point !== false);
    empty.hidden = !is_empty;
    if (is_empty) {
      const [title, text] = state.state === "failed"
        ? ["This did not open", "Read the message above, then choose another source."]
        : busy() ? ["Opening the video …", "The first picture comes in a moment."]
          : ["No video yet", "Choose a source and press Open. Then click an object to follow it."];
      empty.replaceChildren(make("strong", {}, title), make("span", {}, text));
    }
    head_up();
    const over = ["ended", "failed", "empty"].includes(state.state) || (state.state === "stopped" && !state.num_done);
    const playing = state.state === "playing";
    bar.hidden = is_empty;
    renew(bar, [state.state, mode, chosen === null, shown?.past, !state.num_done, state.source?.live], () => [
      make("div", { class: "sv-group" },
        button(playing ? "pause" : "play", playing ? "Pause (space)" : "Play (space)", () => send({ do: playing ? "pause" : "play" }),
          { kind: "primary", text: playing ? "Pause" : "Play", disabled: over || state.state === "opening" }),
        button("step", "One frame (.)", () => send({ do: "advance" }), { disabled: !alive() || playing || state.source?.live }),
        button("stop", "Stop: close the results; play goes on", () => send({ do: "stop" }), { disabled: !alive() || !state.num_done }),
        shown?.past ? button("now", "Back to now", () => send({ do: "look", time_s: null }), { text: "Back to now", kind: "primary" }) : null),
      make("div", { class: "sv-group sv-modes", role: "radiogroup", "aria-label": "What a click does" },
        ...MODES.map(([name, text, title]) =>
          make("button", {
            type: "button", class: `sv-button ${mode === name ? "on" : ""}`, role: "radio", "aria-checked": String(mode === name), title,
            "aria-label": text,
            disabled: !alive() || (name !== "new" && chosen === null), onclick: () => { mode = name; draw(); },
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
      if (state.frame != null) {
        const of = source.num_frames ? ` of ${source.num_frames}` : "";
        words.push(make("span", {}, `frame ${state.frame + 1}${of} · ${clock(state.time_s)}`));
      }
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

  // ---- objects ---------------------------------------------------------------------------------------------
  function draw_objects() {
    const place = parts.objects;
    if (!place || place.contains(document.activeElement) && document.activeElement.tagName === "INPUT") return;
    const object = (one) => {
      const rename = () => {
        const input = make("input", { class: "sv-input", maxlength: 64, "aria-label": `Name of object ${one.id}` });
        input.value = one.name;
        let done = false;
        const end = (keep) => {
          if (done) return;
          done = true;
          if (keep && input.value.trim() && input.value.trim() !== one.name) send({ do: "name", object: one.id, label: input.value.trim() });
          input.replaceWith(make("span", { class: "sv-title" }, input.value.trim() || one.name));
        };
        input.addEventListener("keydown", (event) => { if (event.key === "Enter") end(true); if (event.key === "Escape") end(false); });
        input.addEventListener("blur", () => end(true));
        title.replaceWith(input);
        input.focus();
        input.select();
      };
      const title = make("span", { class: "sv-title" }, one.name || (one.found ? "found" : "object"));
      const picture = thumbnails.get(one.id);
      const row = make("div", { class: `sv-object ${chosen === one.id ? "chosen" : ""} ${one.hidden ? "hidden-object" : ""}`, "data-object": one.id },
        picture ? make("img", { src: picture, alt: "", width: 44, height: 44 }) : make("div", { class: "sv-nothing" }),
        make("button", { type: "button", class: "sv-who", title: "Choose, to correct it", "aria-label": `Choose object ${one.id}`, onclick: () => choose(chosen === one.id ? null : one.id) },
          make("span", { class: "sv-number", style: `background:${one.colour}` }, `#${one.id}`), title,
          make("span", { class: `sv-is ${one.state}` }, one.state === "tracked" ? `tracked ${one.score.toFixed(2)}` : one.state)),
        make("div", { class: "sv-group" },
          button("pen", `Rename object ${one.id}`, rename, { disabled: !alive() }),
          button(one.hidden ? "closed" : "eye", `${one.hidden ? "Show" : "Hide"} object ${one.id}`, () => send({ do: "hide", object: one.id, hidden: !one.hidden })),
          button("cross", `Remove object ${one.id}`, () => { send({ do: "remove", object: one.id }); if (chosen === one.id) choose(null); }, { disabled: !alive() })));
      return row;
    };
    const hint = shown ? "Nobody is followed yet. Click an object in the picture, or drag a box around it." : "Objects appear here as you click them.";
    const rows = state.objects ?? [];
    renew(place, [rows, chosen, alive(), rows.map((one) => thumbnails.get(one.id)?.length), hint], () => [
      heading("Objects", rows.length ? String(rows.length) : ""),
      ...(rows.length ? rows.map(object) : [make("p", { class: "sv-hint" }, hint)]),
    ]);
  }

  const heading = (text, count = "") => make("div", { class: "sv-heading" }, make("h3", {}, text), make("span", {}, count));

  // ---- timeline --------------------------------------------------------------------------------------------
  function draw_timeline() {
    const place = parts.timeline;
    if (!place) return;
    const { rows = [], cuts = [] } = state.timeline ?? {};
    const now = state.time_s ?? 0;
    const end = Math.max(now, state.source?.live ? 0 : state.source?.duration_s ?? 0, 1e-3);
    reveal("timeline", shown);
    if (!shown) return;
    const percent = (s) => `${Math.min(100, (100 * s) / end).toFixed(3)}%`;
    const look = (event) => {
      const box = event.currentTarget.getBoundingClientRect();
      send({ do: "look", time_s: Math.min(Math.max(((event.clientX - box.left) / box.width) * end, 0), now) });
    };
    const lane = (...bars) => make("div", { class: "sv-lane", onclick: look, title: "Look at this moment" }, ...bars);
    const cursor = () => make("i", { class: "sv-cursor", style: `left:${percent(state.looking_back_s ?? now)}` });
    const lanes = rows.map((row) => make("div", { class: "sv-row" },
      make("span", { class: "sv-label", title: `#${row.id} ${row.name}` }, `#${row.id} ${row.name}`),
      lane(...row.spans.map(([kind, from, to]) => make("b", {
        class: kind, style: `left:${percent(from)};width:max(2px, ${percent(to - from)});--colour:${row.colour}`,
      })), cursor())));
    const whole = make("div", { class: "sv-row" }, make("span", { class: "sv-label" }, "video"),
      lane(make("b", { class: "done", style: `left:0;width:${percent(now)}` }), ...cuts.map((s) => make("i", { class: "sv-cut", style: `left:${percent(s)}`, title: `cut at ${clock(s)}` })), cursor()));
    place.replaceChildren(heading("Who was visible when", clock(end)), whole, ...lanes);
  }

  // ---- memories --------------------------------------------------------------------------------------------
  function draw_memory() {
    const place = parts.memory;
    if (!place) return;
    const rows = state.memories ?? [];
    reveal("memory", rows.length);
    place.replaceChildren(heading("Memories"), make("div", { class: "sv-gauges" }, ...rows.map((one) => {
      const share = one.capacity_bytes ? one.bytes / one.capacity_bytes : 0;
      return make("div", { class: "sv-gauge", title: `${one.bytes} of ${one.capacity_bytes} bytes` },
        make("span", { class: "sv-title" }, one.name),
        make("div", { class: "sv-meter" }, make("b", { style: `width:${Math.max(share > 0 ? 1 : 0, 100 * share).toFixed(2)}%` })),
        make("span", { class: "sv-small" }, `${bytes(one.bytes)} of ${bytes(one.capacity_bytes)}`),
        make("span", { class: "sv-small" }, `${one.entries} ${one.entries === 1 ? "entry" : "entries"}`));
    })));
  }

  let fed = -1;
  function draw_feed() {
    const place = parts.feed;
    if (!place) return;
    const lines = state.feed ?? [];
    reveal("feed", lines.length);
    const latest = lines.length ? lines.at(-1).number + lines.at(-1).times / 1000 : -1;
    if (latest === fed || place.matches(":hover")) return; // not while someone reads it
    fed = latest;
    place.replaceChildren(heading("What the memories decide"), make("div", { class: "sv-feed", tabindex: 0 }, ...lines.slice().reverse().map((line) =>
      make("div", { class: "sv-line" },
        make("button", { type: "button", class: "sv-time", title: "Look at this moment", onclick: () => send({ do: "look", time_s: line.time_s }) }, line.clock),
        make("div", {}, make("span", {}, `${line.memory} ${line.text}${line.times > 1 ? ` (${line.times}×)` : ""}`), make("span", { class: "sv-small" }, line.reason))))));
  }

  // ---- answers ---------------------------------------------------------------------------------------------
  const OUTCOMES = {
    answered: "", not_observed: "not seen", not_detectable: "cannot be seen", not_covered: "not looked at", ambiguous: "several fit",
    not_understood: "not understood", refused: "",
  };
  const QUESTIONS = ["what was seen?", "when did the first person appear?", "how many cars were there at once?", "was there a dog?"];

  function answer(element, given) {
    if (!given) {
      element.replaceChildren(make("p", { class: "sv-hint" }, "Answers come from what was seen so far, with the moments that prove them."),
        make("div", { class: "sv-chips" }, ...QUESTIONS.map((text) => make("button", { type: "button", class: "sv-chip", onclick: () => put_question(text) }, text))));
      return;
    }
    const tag = OUTCOMES[given.outcome] ?? given.outcome;
    element.replaceChildren(
      make("div", { class: `sv-answer ${given.outcome}` },
        make("p", { class: "sv-question" }, given.question),
        make("p", { class: "sv-text" }, given.text),
        given.confidence == null ? null : make("p", { class: "sv-small" }, `confidence ${given.confidence.toFixed(2)}${tag ? ` · ${tag}` : ""}`)),
      make("div", { class: "sv-evidence" }, ...given.evidence.map((one) =>
        make("button", { type: "button", class: "sv-proof", title: `Look at ${one.clock}`, onclick: () => { send({ do: "look", time_s: one.time_s }); parts.viewer.element.scrollIntoView({ block: "nearest", behavior: "smooth" }); } },
          one.url ? make("img", { src: one.url, alt: "" }) : make("div", { class: "sv-nothing" }),
          make("span", { class: "sv-time" }, `${one.clock} · frame ${one.frame}`), make("span", { class: "sv-small" }, one.claim)))));
  }

  function put_question(text) {
    const field = document.querySelector("#sv-question textarea, #sv-question input");
    if (!field) return;
    const prototype = field.tagName === "TEXTAREA" ? HTMLTextAreaElement.prototype : HTMLInputElement.prototype;
    Object.getOwnPropertyDescriptor(prototype, "value").set.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  }

  // ---- the page's camera -----------------------------------------------------------------------------------
  async function open_camera() {
    close_camera();
    const mine = ++cameras; // another source may be opened while the person is asked
    let stream;
    try {
      if (!navigator.mediaDevices) throw new Error("this browser gives the camera only to pages on this machine or over https");
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 } } });
    } catch (error) {
      say(`The camera could not be opened (${error.message || error.name}). Allow it for this page, and try again.`, "error");
      return;
    }
    const end = () => stream.getTracks().forEach((track) => track.stop());
    if (mine !== cameras) { end(); return; }
    const video = make("video", { muted: true, playsinline: true });
    video.srcObject = stream;
    await video.play();
    const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
    let running = true, sending = false;
    const timer = setInterval(() => {
      if (sending || socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > 400000) return;
      sending = true;
      canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => { if (running && blob) socket.send(blob); sending = false; }, "image/jpeg", 0.85);
    }, 33);
    stopCamera = () => {
      running = false;
      clearInterval(timer);
      end();
      stopCamera = null;
    };
    stream.getVideoTracks()[0].onended = () => {
      stopCamera?.();
      send({ do: "stop" });
      say("The camera was unplugged or taken away. Export what was found, or open it again.", "error");
    };
  }

  function close_camera() {
    cameras += 1;
    stopCamera?.();
  }

  // ---- drawing ---------------------------------------------------------------------------------------------
  let pressed = false; // what is pressed must still be there when it is let go
  const let_go = () => { if (pressed) { pressed = false; setTimeout(draw); } };
  document.addEventListener("pointerdown", () => { pressed = true; }, true);
  document.addEventListener("pointerup", let_go, true);
  document.addEventListener("pointercancel", let_go, true);

  function draw() {
    if (!parts.viewer || pressed) return;
    draw_viewer();
    draw_objects();
    draw_timeline();
    draw_memory();
    draw_feed();
    if (stopCamera && (gone || ["ended", "failed"].includes(state.state))) stopCamera();
  }

  // ---- forms -----------------------------------------------------------------------------------------------
  function open(kind, discover, classes, name = null) {
    if (kind === "camera") open_camera(); else close_camera();
    form({ do: "open", kind, name, discover: Boolean(discover), classes: classes ?? [] });
  }

  function form(command) {
    if (!send(command)) say(LOST, "error", "form");
  }

  function upload(element, { accept, limit }) {
    const input = make("input", { type: "file", accept, "aria-label": "Video file" });
    const bar = make("progress", { max: 1, value: 0, hidden: true });
    const name = make("span", { class: "sv-small" });
    element.replaceChildren(make("label", { class: "sv-file" }, make("span", {}, limit), input), bar, name);
    input.addEventListener("change", () => {
      const file = input.files[0];
      if (!file) return;
      delete element.dataset.uploaded;
      name.textContent = "";
      bar.hidden = false;
      bar.value = 0;
      const request = new XMLHttpRequest();
      request.open("POST", ours(`${token}/upload?name=${encodeURIComponent(file.name)}`));
      request.responseType = "json";
      request.upload.onprogress = (event) => { bar.value = event.lengthComputable ? event.loaded / event.total : 0; };
      request.onloadend = () => {
        bar.hidden = true;
        if (request.status === 200) {
          element.dataset.uploaded = name.textContent = file.name;
          if (notice?.from === "form") say(null);
        } else {
          say(request.response?.error ?? "The file could not be sent: is it too large, or the connection lost?", "error", "form");
          input.value = "";
        }
      };
      request.send(file);
    });
  }

  window.StreamVOS = {
    measured,
    state: () => ({ ...state, picture: shown, connected: socket?.readyState === WebSocket.OPEN }),
    disconnect: () => socket?.close(),
    open,
    ask: (question) => form({ do: "ask", question }),
    show: (shown) => form({ do: "show", shown }),
    reveal,
    mount() {
      for (const [name, element, told] of (window.svParts ?? []).splice(0)) {
        element.classList.add("sv-part");
        const place = element.firstElementChild ?? element;
        if (name === "viewer") {
          viewer(place);
          if (!begun) { begun = true; begin(); }
        } else {
          parts[name] = place;
          if (name === "answer") answer(place, null);
          if (name === "upload") upload(place, told);
        }
      }
      draw();
    },
  };
  window.StreamVOS.mount();
})();
