// Shows what is said while a transcript is open; nothing else on the page changes. Without this file its button does it.
const shown = document.getElementById("words-shown");
const words = document.getElementById("words");
const news = document.getElementById("news");
const again = document.getElementById("again");
const title = document.title;
const LOST_MS = 12000;
let heardAt = Date.now();

function isAtEnd() {
  return window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 160;
}

function isPlaying() {
  return [...shown.querySelectorAll("audio, video")].some((one) => !one.paused && !one.ended);
}

async function showWords() {
  if (isPlaying()) {
    news.hidden = false;
    return;
  }
  const form = new URLSearchParams(new FormData(again));
  const answer = await fetch(shown.dataset.words, { method: "POST", body: form }).catch(() => null);
  if (!answer || !answer.ok) return;
  const wasAtEnd = isAtEnd();
  const place = shown.getBoundingClientRect().bottom;
  const open = [...shown.querySelectorAll("details[open]")].map((one) => one.id);
  shown.innerHTML = await answer.text();
  open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  if (wasAtEnd) window.scrollBy(0, shown.getBoundingClientRect().bottom - place);
  news.hidden = wasAtEnd && !document.hidden;
  if (document.hidden) document.title = "● " + title;
}

async function look() {
  const answer = await fetch(shown.dataset.pulse, { headers: { accept: "application/json" } }).catch(() => null);
  const told = answer && answer.ok && !answer.redirected ? await answer.json().catch(() => null) : null;
  document.getElementById("lost").hidden = Date.now() - heardAt < LOST_MS;
  if (!told) return;
  heardAt = Date.now();
  document.getElementById("lost").hidden = true;
  if (told.locked) shown.innerHTML = "";
  showLocked(told.locked);
  if (told.locked) return;
  const asks = document.getElementById("asks");
  if (asks) {
    asks.hidden = !told.asks;
    document.getElementById("asks-name").textContent = told.asks || "";
  }
  const talk = document.getElementById("talk");
  if (!talk || talk.dataset.mark !== told.mark) await showWords();
}

async function keepLooking() {
  await look();
  setTimeout(keepLooking, 2000);
}

document.addEventListener("unlocked", look);
document.addEventListener("visibilitychange", () => { if (!document.hidden) document.title = title; });
window.addEventListener("scroll", () => { if (isAtEnd()) news.hidden = true; }, { passive: true });
setTimeout(keepLooking, 2000);
