/**
 * What the page knows, and who wants to hear of it. Pure: no DOM, no socket, no clock.
 *
 * @typedef {object} Change
 * @property {Set<string>} symbols rows that are new or changed
 * @property {boolean} snapshot the frame was the whole table
 * @property {boolean} news the feed's word on itself, or our link, changed
 */

/** @typedef {(change: Change) => void} Listener */

const NONE = Object.freeze(new Set());

export class Store {
  /** @type {Map<string, Quote>} */
  rows = new Map();
  /** @type {FeedStatus | null} */
  feed = null;
  /** @type {Link} */
  link = { state: "connecting", since: 0, retryAt: null, latency: null };
  /** Server clock minus ours, ms. */
  offset = 0;
  /** @type {string[]} */
  #fields = [];
  /** @type {Set<Listener>} */
  #listeners = new Set();

  /** @param {Listener} listener @returns {() => void} which ends the subscription */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Rows known from the page itself. @param {Iterable<Quote>} quotes */
  seed(quotes) {
    for (const quote of quotes) this.rows.set(quote.symbol, quote);
  }

  /** One frame of the server. @param {Frame} frame @param {number} now ms of our clock */
  apply(frame, now) {
    if (frame.now !== undefined) this.offset = frame.now - now;
    if (frame.fields) this.#fields = frame.fields;
    if (frame.feed) this.feed = frame.feed;
    const symbols = this.#take(frame.rows ?? []);
    if (frame.snapshot) this.#forgetAllBut(symbols);
    if (symbols.size || frame.feed) {
      this.#tell({ symbols, snapshot: frame.snapshot ?? false, news: Boolean(frame.feed) });
    }
  }

  /** @param {Link} link */
  setLink(link) {
    this.link = link;
    this.#tell({ symbols: /** @type {Set<string>} */ (NONE), snapshot: false, news: true });
  }

  /** @param {unknown[][]} rows */
  #take(rows) {
    const symbols = new Set();
    for (const row of rows) {
      const quote = named(this.#fields, row);
      this.rows.set(quote.symbol, quote);
      symbols.add(quote.symbol);
    }
    return symbols;
  }

  /** @param {Set<string>} symbols */
  #forgetAllBut(symbols) {
    for (const symbol of this.rows.keys()) if (!symbols.has(symbol)) this.rows.delete(symbol);
  }

  /** @param {Change} change */
  #tell(change) {
    for (const listener of this.#listeners) listener(change);
  }
}

/** A row's array by field names; a shorter row just lacks the last ones.
 * @param {string[]} fields @param {unknown[]} row @returns {Quote} */
function named(fields, row) {
  /** @type {Record<string, unknown>} */
  const quote = {};
  for (let at = 0; at < row.length; at++) {
    const field = fields[at];
    if (field) quote[field] = row[at];
  }
  return /** @type {Quote} */ (/** @type {unknown} */ (quote));
}
