"use strict";
const $ = (id) => document.getElementById(id);
const RETRY_MS = 1000;
const SNAPSHOT_MS = 1000;
const CARD_WIDTH = 480;
const named = new URLSearchParams(location.search).get("stream");
let socket = null;
let drawing = false;
let cards = null;

function connect() {
  socket = new WebSocket(location.href.replace(/^http/, "ws").replace(/[^/?#]*([?#].*)?$/, "live$1"));
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => (typeof data === "string" ? showFigures(JSON.parse(data)) : showPictures(data));
  socket.onclose = () => {
    socket = null;
    showState("not connected to vsr", "");
    if (!document.hidden) setTimeout(wake, RETRY_MS);
  };
}

// Nobody looks: the pictures need not be made.
function wake() {
  if (cards) return;
  if (document.hidden && socket) socket.close();
  if (!document.hidden && !socket) connect();
}

// One stream, or all of several.
async function begin() {
  let report = null;
  try {
    report = named === null ? await (await fetch("status")).json() : {};
  } catch {
    showState("not connected to vsr", "");
    setTimeout(begin, RETRY_MS);
    return;
  }
  if (report.streams) {
    cards = new Map();
    $("streams").hidden = false;
    $("source").textContent = "streams";
    showAll(report.streams);
    return;
  }
  document.querySelector("main").hidden = false;
  $("all").hidden = named === null;
  document.addEventListener("visibilitychange", wake);
  wake();
}

function showAll(streams) {
  const well = Object.values(streams).filter((report) => report.health.well).length;
  showState(`${well} of ${Object.keys(streams).length} well`, "");
  for (const [name, card] of cards) {
    if (!(name in streams)) {
      card.place.remove();
      cards.delete(name);
    }
  }
  for (const [name, report] of Object.entries(streams)) {
    if (!cards.has(name)) cards.set(name, newCard(name));
    const { place, figures, why } = cards.get(name);
    figures.textContent = `${report.fps.toFixed(1)} fps`;
    figures.classList.toggle("well", report.health.well);
    why.textContent = report.health.well ? "" : report.health.why_not.join(", ");
    place.dataset.state = report.state;
  }
  setTimeout(nextOfAll, SNAPSHOT_MS);
}

async function nextOfAll() {
  try {
    if (document.hidden) throw new Error("nobody looks");
    showAll((await (await fetch("status")).json()).streams);
  } catch {
    if (!document.hidden) showState("not connected to vsr", "");
    setTimeout(nextOfAll, RETRY_MS);
  }
}

function newCard(name) {
  const make = (kind, parent) => parent.appendChild(document.createElement(kind));
  const place = make("a", $("streams"));
  place.href = `?stream=${encodeURIComponent(name)}`;
  const picture = make("img", place);
  const line = make("p", place);
  make("b", line).textContent = name;
  const figures = make("span", line);
  const why = make("p", place);
  picture.alt = "";
  picture.dataset.pictures = 0;
  const next = () => {
    if (!place.isConnected) return;
    if (document.hidden) setTimeout(next, SNAPSHOT_MS);
    else picture.src = `snapshot.jpg?stream=${encodeURIComponent(name)}&after&width=${CARD_WIDTH}&at=${Date.now()}`;
  };
  picture.onload = () => {
    picture.dataset.pictures = Number(picture.dataset.pictures) + 1;
    setTimeout(next, SNAPSHOT_MS);
  };
  picture.onerror = () => setTimeout(next, SNAPSHOT_MS);
  next();
  return { place, figures, why };
}

async function showPictures(message) {
  if (drawing) return;
  drawing = true;
  try {
    const length = new DataView(message).getUint32(0);
    const parts = [message.slice(4, 4 + length), message.slice(4 + length)];
    const [before, after] = await Promise.all(parts.map((part) => createImageBitmap(new Blob([part], { type: "image/jpeg" }))));
    const box = $("picture");
    box.style.aspectRatio = `${after.width} / ${after.height}`;
    draw($("before"), before);
    draw($("after"), after);
    box.dataset.frames = Number(box.dataset.frames) + 1;
  } finally {
    drawing = false;
  }
}

function draw(canvas, picture) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
}

function showState(state, why) {
  $("state").textContent = state;
  $("state").className = state;
  $("why").textContent = why;
}

function showFigures(report) {
  const number = (value) => value.toLocaleString("en");
  const milliseconds = (name) => report.recent ? `${Math.round(report.recent[name])} ms` : "–";
  const last = report.changes[report.changes.length - 1];
  const since = last ? `since ${new Date(last.at).toLocaleTimeString()}` : "";
  const unwell = report.health.well ? [] : report.health.why_not;
  showState(report.state, [since, last && last.why, ...unwell].filter(Boolean).join(", "));
  $("source").textContent = `${named === null ? "" : `${named}: `}${report.source}, ${report.size_in.join("×")} to ${report.size_out.join("×")}`;
  $("fps").textContent = report.fps.toFixed(1);
  $("p50").textContent = milliseconds("p50_ms");
  $("p95").textContent = milliseconds("p95_ms");
  $("p99").textContent = milliseconds("p99_ms");
  $("out").textContent = number(report.frames_out);
  $("dropped").textContent = number(Object.values(report.drops).reduce((sum, count) => sum + count, 0));
  $("dropped").title = Object.entries(report.drops).map(([reason, count]) => `${count} ${reason}`).join(", ");
  list($("rungs"), report.measured.map(({ model, cost_ms }) => [
    model + (cost_ms === null ? ", not tried" : `, ${cost_ms.toFixed(1)} ms a frame`), model === report.model,
  ]));
  list($("sinks"), report.sinks.map((sink) => [
    `${sink.name}: ${sink.state}, ${number(sink.frames)} frames`, sink.state === "streaming",
  ]));
  list($("events"), [
    ...report.steps.slice(-4).map((step) => [`${step.at_s.toFixed(0)} s: ${step.before} to ${step.after}, ${step.why}`, false]),
    ...report.changes.slice(-4).map(({ state, at }) => [`${new Date(at).toLocaleTimeString()} ${state}`, false]),
  ]);
  $("load").replaceChildren(...Object.entries(report.load).map(([stage, part]) => {
    const bar = document.createElement("div");
    const fill = document.createElement("i");
    const text = document.createElement("b");
    bar.className = "bar";
    fill.style.width = `${part * 100}%`;
    text.textContent = `${stage} ${Math.round(part * 100)} %`;
    bar.append(fill, text);
    return bar;
  }));
}

function list(place, items) {
  place.replaceChildren(...items.map(([text, now]) => {
    const item = document.createElement("li");
    item.textContent = text;
    item.classList.toggle("now", now);
    return item;
  }));
}

$("slider").addEventListener("input", () => {
  $("picture").style.setProperty("--cut", `${$("slider").value / 10}%`);
});
begin();
