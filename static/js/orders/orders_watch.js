import { AccountSocket } from "../accounts/account_socket.js";

const LOOK_EVERY = 15_000;
const APART = 5000; // between two looks that the socket asks for: each asks the exchange

/**
 * The page of orders shows itself anew when an order has changed; or says so when somebody is just
 * choosing rows.
 */
export class OrdersWatch extends HTMLElement {
  #looked = Date.now();
  #isNews = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #soon;

  connectedCallback() {
    setInterval(() => this.#look(), LOOK_EVERY);
    new AccountSocket({
      changed: (what) => this.#lookSoon(what === "orders"),
      ended: () => location.reload(),
    }).start();
  }

  /** @param {boolean} isNews */
  #lookSoon(isNews) {
    this.#isNews ||= isNews;
    const wait = Math.max(0, this.#looked + APART - Date.now());
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => this.#look(), wait);
  }

  async #look() {
    this.#looked = Date.now();
    if (this.#isNews) {
      this.#show();
      return;
    }
    const answer = await fetch(this.dataset.url ?? "", {
      headers: { Accept: "application/json" },
      redirect: "manual",
    }).catch(() => null);
    if (answer?.type === "opaqueredirect") location.reload();
    if (!answer?.ok) return;
    const { marks } = await answer.json();
    if (marks !== this.dataset.marks) this.#show();
  }

  #show() {
    const isBusy = this.querySelector("input:checked") || this.contains(document.activeElement);
    const news = this.querySelector("[data-news]");
    if (!isBusy && !document.hidden) location.reload();
    else if (news instanceof HTMLElement) news.hidden = false;
  }
}
