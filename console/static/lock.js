// Unlocks a page after idling without leaving it: what was being written stays. Without this file the form does the same.
const unlockForm = document.getElementById("unlock");

function showLocked(isLocked) {
  document.body.classList.toggle("is-locked", isLocked);
  document.getElementById("lock").hidden = !isLocked;
}

// A person who types or clicks is there; a page that asks by itself is not.
let toldAt = Date.now();
function tellThatSomebodyIsHere(event) {
  if (!event.isTrusted || Date.now() - toldAt < 60000 || document.body.classList.contains("is-locked")) return;
  toldAt = Date.now();
  fetch("/here", { method: "POST", body: new URLSearchParams({ form_token: unlockForm.form_token.value }) }).catch(() => {});
}
for (const kind of ["keydown", "pointerdown"]) document.addEventListener(kind, tellThatSomebodyIsHere, { passive: true });

unlockForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const error = document.getElementById("lock-error");
  const answer = await fetch(unlockForm.action, {
    method: "POST",
    headers: { accept: "application/json" },
    body: new URLSearchParams(new FormData(unlockForm)),
  }).catch(() => null);
  unlockForm.password.value = "";
  if (answer && answer.ok) {
    error.hidden = true;
    showLocked(false);
    document.dispatchEvent(new Event("unlocked"));
    return;
  }
  const said = answer ? await answer.json().catch(() => ({})) : {};
  error.textContent = said.error || "!";
  error.hidden = false;
});
