// Keeps the duty desk up to date by server-sent events. Without this file the page refreshes itself.
const live = document.getElementById("live");
const desk = document.getElementById("desk");
const soundButton = document.getElementById("sound");
const notifyButton = document.getElementById("notify");
const SILENT_MS = 12000;
const TABLE_MS = 30000;
let source = null;
let heardAt = Date.now();
let known = null;
let tone = null;
live.hidden = false;

function ring() {
  if (!tone || localStorage.getItem("desk-sound") !== "on") return;
  for (const [start, pitch] of [[0, 880], [0.25, 660], [0.5, 880]]) {
    const note = tone.createOscillator();
    const volume = tone.createGain();
    note.frequency.value = pitch;
    volume.gain.setValueAtTime(0.25, tone.currentTime + start);
    volume.gain.exponentialRampToValueAtTime(0.001, tone.currentTime + start + 0.22);
    note.connect(volume).connect(tone.destination);
    note.start(tone.currentTime + start);
    note.stop(tone.currentTime + start + 0.23);
  }
}

function notify(words) {
  if ("Notification" in window && Notification.permission === "granted") new Notification(words, { tag: "duty" });
}

function showLost(isLost) {
  const banner = document.getElementById("lost");
  if (isLost && banner.hidden) ring();
  banner.hidden = !isLost;
  document.body.classList.toggle("is-lost", isLost);
  if (!isLost) return;
  document.title = "⚠ " + live.dataset.title;
  document.getElementById("alive").textContent = live.dataset.offline.replace("{at}", known ? known.clock : "–");
}

async function showTable() {
  if (!desk || document.body.classList.contains("is-locked")) return;
  const focused = document.activeElement && desk.contains(document.activeElement);
  if (focused) return;
  const answer = await fetch(live.dataset.table).catch(() => null);
  if (answer && answer.ok && !answer.redirected) desk.innerHTML = await answer.text();
}

function hear(event) {
  const told = JSON.parse(event.data);
  heardAt = Date.now();
  showLost(false);
  document.getElementById("alive").textContent = told.blind ? live.dataset.blind : live.dataset.alive.replace("{at}", told.clock);
  if (told.unattended) document.getElementById("alive").textContent += " · " + live.dataset.waiting.replace("{count}", told.unattended);
  document.body.classList.toggle("is-lost", told.blind);
  document.title = (told.unattended ? `(${told.unattended}) ` : "") + live.dataset.title;
  if (desk) showLocked(told.locked);
  else if (!told.locked) location.replace("/duty");
  if (known === null || told.mark !== known.mark) showTable();
  if (known !== null && (told.alarms > known.alarms || told.unattended > known.unattended || told.overdue > known.overdue)) {
    ring();
    notify(told.calls_me ? live.dataset.notifyMe : live.dataset.notify);
  }
  known = told;
}

function listen() {
  if (source) source.close();
  source = new EventSource(live.dataset.events);
  source.onmessage = hear;
  source.addEventListener("gone", () => {
    source.close();
    clearInterval(watching);
    document.getElementById("gone").hidden = false;
    document.body.classList.add("is-lost", "is-locked");
    ring();
  });
}

const watching = setInterval(() => {
  if (Date.now() - heardAt > SILENT_MS) showLost(true);
  if (source.readyState === EventSource.CLOSED) listen();
}, 2000);
setInterval(showTable, TABLE_MS);
document.addEventListener("unlocked", () => { listen(); showTable(); });
window.addEventListener("pagehide", () => source.close());

if (soundButton) {
  const show = () => soundButton.setAttribute("aria-pressed", String(localStorage.getItem("desk-sound") === "on"));
  const wake = () => { tone = tone || new AudioContext(); };
  soundButton.addEventListener("click", () => {
    wake();
    localStorage.setItem("desk-sound", localStorage.getItem("desk-sound") === "on" ? "off" : "on");
    show();
    ring();
  });
  document.addEventListener("pointerdown", wake, { once: true });
  show();
}
if (notifyButton && "Notification" in window && Notification.permission === "default") {
  notifyButton.hidden = false;
  notifyButton.addEventListener("click", async () => {
    await Notification.requestPermission();
    notifyButton.hidden = true;
  });
}
listen();
