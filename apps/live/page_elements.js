// What the page is made of: elements, icons, buttons, numbers in words.
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
