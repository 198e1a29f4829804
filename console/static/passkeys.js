// Passkeys: the forms are shown where the browser has them; without this file a code is typed.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const readable = (options) => {
  options.challenge = bytes(options.challenge);
  if (options.user) options.user.id = bytes(options.user.id);
  for (const each of [...(options.excludeCredentials || []), ...(options.allowCredentials || [])]) each.id = bytes(each.id);
  return options;
};

const written = (credential) => {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response });
};

async function ask(event) {
  event.preventDefault();
  const form = event.target;
  try {
    const publicKey = readable(JSON.parse(form.dataset.options));
    form.elements.credential.value = written(await navigator.credentials[form.dataset.act]({ publicKey }));
    form.submit();
  } catch {
    form.querySelector("[role=alert]").hidden = false;
  }
}

if (window.PublicKeyCredential) {
  for (const form of document.querySelectorAll("form.passkey")) {
    form.hidden = false;
    form.addEventListener("submit", ask);
  }
}
