/**
 * A form whose `credential` the browser's authenticator fills in. `data-use` is `create` or `get`;
 * the options come from the JSON block that `data-options` names, or are fetched from `data-from`.
 */
export class PasskeyForm extends HTMLElement {
  connectedCallback() {
    const form = this.querySelector("form");
    form?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#fill(form).then(
        () => form.submit(),
        (error) => this.#say(error),
      );
    });
  }

  /** @param {HTMLFormElement} form */
  async #fill(form) {
    const credential = await this.#credential(await this.#options());
    const field = form.elements.namedItem("credential");
    if (credential && field instanceof HTMLInputElement) {
      field.value = JSON.stringify(credential.toJSON());
    }
  }

  /** @param {any} options */
  async #credential(options) {
    if (this.dataset.use === "create") {
      // A key that the browser finds by itself, so that it also signs in without a password.
      options.authenticatorSelection = {
        ...options.authenticatorSelection,
        residentKey: "required",
        requireResidentKey: true,
        userVerification: "required",
      };
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
      return /** @type {PublicKeyCredential} */ (await navigator.credentials.create({ publicKey }));
    }
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    return /** @type {PublicKeyCredential} */ (await navigator.credentials.get({ publicKey }));
  }

  async #options() {
    const { from, options } = this.dataset;
    if (!from)
      return JSON.parse(document.getElementById(options ?? "")?.textContent ?? "").publicKey;
    const answer = await fetch(from, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return (await answer.json()).request_options.publicKey;
  }

  /** @param {unknown} error */
  #say(error) {
    const place = this.querySelector("[data-problem]");
    if (!(place instanceof HTMLElement)) return;
    place.hidden = false;
    place.textContent =
      error instanceof DOMException && error.name === "NotAllowedError"
        ? "Cancelled, or it took too long. Try again."
        : "This browser could not use a passkey here.";
  }
}
