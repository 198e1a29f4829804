// An open transcript looks whether something was said; without this file its button does the same.
const talk = document.getElementById("talk");
const words = document.getElementById("words");

async function look() {
  if (document.hidden) return;
  const answer = await fetch(talk.dataset.pulse, { headers: { accept: "application/json" } }).catch(() => null);
  if (!answer || !answer.ok || answer.redirected) return;
  if ((await answer.json()).mark === talk.dataset.mark) return;
  clearInterval(timer);
  if (words && words.value) document.getElementById("news").hidden = false;
  else document.getElementById("again").submit();
}

const timer = setInterval(look, 3000);
