// Creates a passkey or signs with one: passes a form's options to the browser, and sends the result.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const Key = window.PublicKeyCredential;
  if (!Key?.parseCreationOptionsFromJSON) return; // an older browser: the forms stay hidden
  const act = {
    create: (options) => navigator.credentials.create({ publicKey: Key.parseCreationOptionsFromJSON(options) }),
    get: (options) => navigator.credentials.get({ publicKey: Key.parseRequestOptionsFromJSON(options) }),
  };
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const words = form.querySelector("[role=status]");
      words.textContent = "Waiting for your device.";
      try {
        const credential = await act[form.dataset.passkey](JSON.parse(form.dataset.options));
        form.elements.credential.value = JSON.stringify(credential);
        form.submit();
      } catch (error) {
        const isThere = error.name === "InvalidStateError";
        words.textContent = isThere ? "This device has a passkey of yours already." : "No passkey was used. Try again.";
      }
    });
  }
});
