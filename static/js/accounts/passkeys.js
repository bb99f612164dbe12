import { PasskeyForm } from "./passkey_form.js";

customElements.define("passkey-form", PasskeyForm);
