import { remember } from "../preferences.js";

/** The choice of theme and colours. Wraps the form of `partials/display_settings.html`. */
export class DisplaySettings extends HTMLElement {
  connectedCallback() {
    const root = document.documentElement;
    for (const input of this.querySelectorAll("input")) {
      input.checked = root.dataset[input.name] === input.value;
    }
    this.addEventListener("change", ({ target }) => {
      if (!(target instanceof HTMLInputElement)) return;
      root.dataset[target.name] = target.value;
      remember(target.name, target.value);
    });
  }
}
