// Shows the overview again from time to time without taking the place of whoever reads it. Without this file it reloads.
const SECONDS = 15;

async function again() {
  const answer = await fetch("/?quiet=1").catch(() => null);
  if (answer && answer.redirected) location.replace(answer.url);
  else if (answer && answer.ok) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("main").innerHTML = page.getElementById("main").innerHTML;
  }
  setTimeout(again, SECONDS * 1000);
}

setTimeout(again, SECONDS * 1000);
