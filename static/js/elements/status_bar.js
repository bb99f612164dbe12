import { store } from "../live.js";
import { pageState } from "../page_state.js";

/**
 * The state of the prices, in the header, and the banner that explains it. Says `feed-state` to
 * the document when the state, or whether all rows are stale, changes.
 */
export class StatusBar extends HTMLElement {
  #lostAt = Date.now();
  #stale = false;

  connectedCallback() {
    store.listen(({ news }) => news && this.#paint());
    setInterval(() => this.#paint(), 1000);
  }

  #paint() {
    const now = Date.now();
    const { link } = store;
    if (link.state === "open") this.#lostAt = Number.POSITIVE_INFINITY;
    else this.#lostAt = Math.min(this.#lostAt, now);
    if (!store.feed && now - this.#lostAt < 5000) return; // the page's own first word stands
    const page = pageState(store.feed, link, now, store.offset, this.#lostAt, store.rows.size);
    write(document.querySelector("[data-notice]"), page.notice);
    write(this.querySelector("[data-latency]"), latency(link));
    const changed = this.dataset.feedState !== page.state || this.#stale !== page.allStale;
    if (!changed) return;
    this.dataset.feedState = page.state;
    this.#stale = page.allStale;
    write(
      this.querySelector("[data-status]"),
      page.state.charAt(0).toUpperCase() + page.state.slice(1),
    );
    document.dispatchEvent(new CustomEvent("feed-state", { detail: page }));
  }
}

/** @param {Link} link */
function latency(link) {
  return link.state === "open" && link.latency !== null ? `${Math.round(link.latency)} ms` : "";
}

/** @param {Element | null} element @param {string} text */
function write(element, text) {
  if (!(element instanceof HTMLElement) || element.textContent === text) return;
  element.textContent = text;
  element.hidden = !text;
}
