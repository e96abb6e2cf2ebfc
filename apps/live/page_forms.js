// Where a video comes from: the forms, uploads and the page's camera. A part of page.js.
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
