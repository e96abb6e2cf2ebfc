// Sources to click: a picture of each. A part of page.js.
let sources = [];
const finding = { discover: true, classes: [] }; // what is looked for in the next video

function tiles() {
  return make("div", { class: "sv-tiles" }, ...sources.map((one) =>
    make("button", { type: "button", class: "sv-tile", "aria-label": `Open the ${one.kind} ${one.name}`, onclick: () => open({ kind: one.kind, name: one.name }) },
      one.url ? make("img", { src: one.url, alt: "" }) : make("div", { class: "sv-nothing" }, one.kind === "stream" ? "live" : ""),
      make("span", {}, one.title))));
}

function draw_sources() {
  const place = parts.sources;
  if (!place) return;
  const are_elsewhere = !shown && !busy(); // large, where the video will be
  document.getElementById("sv-columns")?.classList.toggle("sv-start", are_elsewhere);
  renew(place, [sources.map((one) => [one.kind, one.name, one.url?.length]), are_elsewhere], () => [
    are_elsewhere ? make("p", { class: "sv-hint" }, "Click one of the pictures to start it, or bring a video of your own.") : tiles(),
  ]);
}

// With `discover` there is something to see at once, so it plays; otherwise it waits for the first click.
function open({ kind, name = null, discover = finding.discover, classes = finding.classes, play = discover }) {
  if (kind === "camera") open_camera(); else close_camera();
  replayed = false;
  form({ do: "open", kind, name, discover: Boolean(discover), classes: classes ?? [], play: Boolean(play) });
}

function find(discover, classes) {
  finding.discover = Boolean(discover);
  finding.classes = classes ?? [];
  reveal("classes", finding.discover);
}

function play_again() {
  replayed = true;
  form({ do: "again" });
}
