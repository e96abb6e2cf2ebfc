// The live parts of the page. Gradio places the elements, which `mount` takes from `svParts`; one websocket feeds them.
// Text from outside (names, questions, answers, file names) only ever becomes text, never HTML.
// `page.py` puts it into one function, behind the other page_*.js: they share their names.
const LOST = "The connection to the server is lost; trying again.";
const parts = {};
let token = null, socket = null, retry = 0, state = { state: "empty" }, shown = null, gone = false;
let mode = "point", chosen = null, notice = null, stopCamera = null, cameras = 0, begun = false;
const thumbnails = new Map();
const pending = new Map(); // object: { frame, began } of clicks whose mask is still to come
const measured = { click: [] }; // milliseconds, read by the benchmark

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
      answers = replayed ? answers.map((one) => ({ ...one, is_earlier: true })) : [];
      if (state.video) replayed = false; // between two videos there is none
    }
    if (state.state === "failed") say(state.notice, "error");
    else if (state.notice && state.notice !== before.notice) say(state.notice, "warning");
    else if (before.notice && !state.notice && notice?.text === before.notice) say(null);
    if (chosen !== null && !state.objects?.some((one) => one.id === chosen) && !pending.has(chosen)) choose(null);
  } else if (message.type === "sources") {
    sources = message.sources;
  } else if (message.type === "thumbnail") {
    thumbnails.set(message.object, message.url);
  } else if (message.type === "pointed") {
    const began = pending.get("click");
    pending.delete("click");
    if (began) pending.set(message.object, { frame: message.frame, began: began.began });
    chosen = message.object;
    say(null);
  } else if (message.type === "refused") {
    pending.delete("click");
    if (["click", "box"].includes(message.do)) parts.viewer.mark.hidden = true;
    const of_form = ["open", "again", "show", "ask"].includes(message.do);
    say(message.text, of_form ? "error" : "warning", of_form ? "form" : "video");
  } else if (message.type === "opened") {
    if (notice?.from === "form") say(null); // not what the video has to say of itself meanwhile
  } else if (message.type === "answer") {
    take_answer(message);
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
      if (object !== "click" && !head.raw && head.frame >= click.frame) {
        pending.delete(object);
        measured.click.push(performance.now() - click.began);
        parts.viewer.mark.hidden = true;
      }
    }
  });
  if (first) draw(); else head_up();
}

// Two numbers: how sure the mask is, and how sure the detector is of the name.
const scores = (one) => [one.state, one.state === "tracked" ? `mask score ${one.score.toFixed(2)}` : null,
  one.class_score === null ? null : `class score ${one.class_score.toFixed(2)}`].filter((part) => part).join(" · ");

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
        make("span", { class: `sv-is ${one.state}` }, scores(one))),
      make("div", { class: "sv-group" },
        button("pen", `Rename object ${one.id}`, rename, { disabled: !alive() }),
        button(one.hidden ? "closed" : "eye", `${one.hidden ? "Show" : "Hide"} object ${one.id}`, () => send({ do: "hide", object: one.id, hidden: !one.hidden })),
        button("cross", `Remove object ${one.id}`, () => { send({ do: "remove", object: one.id }); if (chosen === one.id) choose(null); }, { disabled: !alive() })));
    return row;
  };
  const hint = shown ? "Nothing is followed yet. Click a thing in the picture, or drag a box around it." : "Objects appear here as they are found or clicked.";
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
    return make("div", { class: "sv-gauge", title: `${one.bank}: ${one.bytes} of ${one.capacity_bytes} bytes` },
      make("span", { class: "sv-title" }, one.name),
      make("div", { class: "sv-meter" }, make("b", { style: `width:${Math.max(share > 0 ? 1 : 0, 100 * share).toFixed(2)}%` })),
      make("span", { class: "sv-small" }, `${bytes(one.bytes)} of ${bytes(one.capacity_bytes)}`),
      make("span", { class: "sv-small" }, `${one.entries} ${one.entries === 1 ? "entry" : "entries"}`));
  })));
}

// ---- drawing ---------------------------------------------------------------------------------------------
let pressed = false; // what is pressed must still be there when it is let go
const let_go = () => { if (pressed) { pressed = false; setTimeout(draw); } };
document.addEventListener("pointerdown", () => { pressed = true; }, true);
document.addEventListener("pointerup", let_go, true);
document.addEventListener("pointercancel", let_go, true);

function draw() {
  if (!parts.viewer || pressed) return;
  draw_sources();
  draw_viewer();
  draw_objects();
  draw_answers();
  draw_timeline();
  draw_memory();
  draw_feed();
  if (stopCamera && (gone || ["ended", "failed"].includes(state.state))) stopCamera();
}

window.StreamVOS = {
  measured,
  state: () => ({ ...state, picture: shown, connected: socket?.readyState === WebSocket.OPEN }),
  disconnect: () => socket?.close(),
  open,
  find,
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
        if (name === "upload") upload(place, told);
      }
    }
    draw();
  },
};
window.StreamVOS.mount();
