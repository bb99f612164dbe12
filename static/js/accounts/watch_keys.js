import { AccountSocket } from "./account_socket.js";

const LOOK_EVERY = 15_000;
const QUIET_AFTER = 3_500;

/**
 * Keeps the states of the keys on a page true: on a word of the socket, and by looking now and
 * then in case the socket is away. Says aloud what has changed.
 */
export class WatchKeys extends HTMLElement {
  connectedCallback() {
    setInterval(() => this.#look(), LOOK_EVERY);
    new AccountSocket({
      changed: () => this.#look(),
      ended: () => location.reload(),
    }).start();
  }

  async #look() {
    const answer = await fetch(this.dataset.states ?? "", {
      headers: { Accept: "application/json" },
      redirect: "manual",
    }).catch(() => null);
    if (!answer) return;
    if (answer.type === "opaqueredirect") location.reload();
    if (!answer.ok) return;
    const { keys } = await answer.json();
    for (const row of this.querySelectorAll("[data-key]")) {
      if (row instanceof HTMLElement) this.#paint(row, keys[row.dataset.key ?? ""]);
    }
  }

  /** @param {HTMLElement} row @param {{ state: string, words: string } | undefined} now */
  #paint(row, now) {
    if (!now || now.state === row.dataset.state) return;
    row.dataset.state = now.state;
    write(row.querySelector("[data-words]"), now.words);
    if (now.state === "revoked") setTimeout(() => this.#look(), QUIET_AFTER);
    if (now.state === "quiet") return;
    const label = row.querySelector("th, h1")?.textContent?.trim() ?? "A key";
    write(this.querySelector("[data-news]"), `${label}: ${now.words}. Reload for the details.`);
  }
}

/** @param {Element | null} element @param {string} text */
function write(element, text) {
  if (!(element instanceof HTMLElement)) return;
  element.textContent = text;
  element.hidden = false;
}
