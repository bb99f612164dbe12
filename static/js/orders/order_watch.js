import { AccountSocket } from "../accounts/account_socket.js";

const SOON = 1000;
const LATER = 3000;
const PATIENT_AFTER = 20_000;

/**
 * Keeps the page of one order true until the order is settled: on a word of the socket, and by
 * asking. It never offers to send anything.
 */
export class OrderWatch extends HTMLElement {
  #asking = false;
  #opened = Date.now();

  connectedCallback() {
    if (this.#settled) return;
    new AccountSocket({
      changed: () => this.#ask(),
      ended: () => location.reload(),
    }).start();
    this.#later();
    const timer = setInterval(() => this.#tick() || clearInterval(timer), 250);
  }

  get #settled() {
    return this.dataset.settled !== undefined;
  }

  #later() {
    const isPatient = Date.now() - this.#opened > PATIENT_AFTER;
    setTimeout(
      async () => {
        await this.#ask();
        if (!this.#settled) this.#later();
      },
      isPatient ? LATER : SOON,
    );
  }

  async #ask() {
    if (this.#asking || this.#settled) return;
    this.#asking = true;
    try {
      const answer = await fetch(this.dataset.url ?? "", {
        headers: { Accept: "application/json" },
        redirect: "manual",
      });
      if (answer.type === "opaqueredirect") location.reload();
      if (answer.ok) this.#paint(await answer.json());
    } catch {
      // away for a moment: asked again
    } finally {
      this.#asking = false;
    }
  }

  /** @param {Record<string, any>} facts */
  #paint(facts) {
    const outcome = this.querySelector(".outcome");
    if (!(outcome instanceof HTMLElement)) return;
    this.dataset.state = facts.state;
    outcome.dataset.tone = facts.tone;
    outcome.dataset.orderId = facts.order_id ?? "";
    for (const place of document.querySelectorAll("[data-field]")) {
      if (!(place instanceof HTMLElement)) continue;
      const text = String(facts[place.dataset.field ?? ""] ?? "–");
      if (place.textContent !== text) place.textContent = text;
      if (place.dataset.field === "advice") place.hidden = !text;
    }
    outcome.dataset.state = facts.state; // last: who waits for it finds the rest
    if (facts.settled) this.#settle(facts);
  }

  /** @param {Record<string, any>} facts */
  #settle(facts) {
    this.dataset.settled = "";
    const again = this.querySelector("[data-again]");
    if (again instanceof HTMLElement) again.hidden = facts.tone !== "bad";
    document.title = document.title.replace(/^[^:]*/, facts.title);
    this.#tick();
  }

  #tick() {
    const place = this.querySelector("[data-timer]");
    if (!place) return false;
    const before = Number(this.dataset.now) - Number(this.dataset.began);
    const seconds = Math.max(0, (before + Date.now() - this.#opened) / 1000);
    place.textContent = this.#settled ? "" : `${Math.floor(seconds)} s`;
    return !this.#settled;
  }
}
