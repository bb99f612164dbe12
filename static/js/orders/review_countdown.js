/**
 * How long the review is good for; afterwards its button is off and the way back is shown. A second
 * click on the button does nothing, since one is enough.
 */
export class ReviewCountdown extends HTMLElement {
  #began = performance.now();
  #sent = false;

  connectedCallback() {
    const timer = setInterval(() => this.#tick() || clearInterval(timer), 500);
    this.querySelector("form")?.addEventListener("submit", (event) => {
      if (this.#sent) event.preventDefault();
      this.#sent = true;
    });
    window.addEventListener("pageshow", ({ persisted }) => {
      if (persisted) location.reload();
    });
    this.#tick();
  }

  #tick() {
    const left = Math.ceil(Number(this.dataset.seconds) - (performance.now() - this.#began) / 1000);
    const place = this.querySelector("[data-left]");
    if (place) place.textContent = left > 0 ? `Good for ${left} s` : "";
    if (left > 0) return true;
    const button = this.querySelector("[data-place]");
    const gone = this.querySelector("[data-gone]");
    if (button instanceof HTMLButtonElement && !this.#sent) button.disabled = true;
    if (gone instanceof HTMLElement) gone.hidden = false;
    return false;
  }
}
