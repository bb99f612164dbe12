const CATCH_UP_MS = 5000;
const FLASH_MS = 400;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Paints quotes into rows: those on the screen in the next frame, all others now and then when
 * the browser is idle, so that finding and reading aloud meet no old numbers.
 */
export class Painter {
  stale = false;
  /** @type {Map<string, number>} currency → USD */
  rates = new Map();
  /** @type {Map<string, import("./row_view.js").RowView>} */
  #views = new Map();
  /** @type {WeakMap<Element, import("./row_view.js").RowView>} */
  #byElement = new WeakMap();
  /** @type {Set<string>} */
  #dirty = new Set();
  #frame = 0;
  #observer = new IntersectionObserver((entries) => this.#moved(entries), {
    rootMargin: "160px 0px",
  });

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./trend.js").History} history
   * @param {() => void} moved called when other rows came on the screen
   */
  constructor(store, history, moved) {
    this.store = store;
    this.history = history;
    this.moved = moved;
  }

  start() {
    setInterval(() => this.#second(), 1000);
    setInterval(() => this.#catchUp(), CATCH_UP_MS);
  }

  /** @param {import("./row_view.js").RowView} view */
  add(view) {
    this.#views.set(view.symbol, view);
    this.#byElement.set(view.tr, view);
    this.#observer.observe(view.tr);
  }

  /** @param {import("./row_view.js").RowView} view */
  remove(view) {
    this.#views.delete(view.symbol);
    this.#dirty.delete(view.symbol);
    this.#observer.unobserve(view.tr);
  }

  /** These rows have news. @param {Iterable<string>} symbols */
  paint(symbols) {
    for (const symbol of symbols) this.#dirty.add(symbol);
    this.flush();
  }

  flush() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  /** Whether every row is stale, whatever it says of itself. @param {boolean} stale */
  setStale(stale) {
    if (this.stale === stale) return;
    this.stale = stale;
    this.paint(this.#views.keys());
  }

  /** What the column says of a row, for sorting.
   * @param {import("./row_view.js").RowView} view @param {string} column @returns {number | null} */
  number(view, column) {
    const quote = this.store.rows.get(view.symbol);
    if (!quote) return null;
    if (column === "turnover") return this.#turnover(view, quote);
    if (column === "age") return -quote.seen;
    const field = /** @type {QuoteNumber} */ (column.replace("-", "_"));
    return quote[field] ?? null;
  }

  #draw() {
    this.#frame = 0;
    /** @type {HTMLElement[]} */
    const flashed = [];
    for (const symbol of this.#dirty) {
      const view = this.#views.get(symbol);
      if (!view?.visible) continue;
      this.#paintRow(view, true);
      flashed.push(...view.flashed.splice(0));
    }
    // Two steps and no animation: that one repaints sixty times a second, for three times the work.
    if (!flashed.length) return;
    setTimeout(() => fade(flashed), FLASH_MS / 2);
    setTimeout(() => unflash(flashed), FLASH_MS);
  }

  /** @param {import("./row_view.js").RowView} view @param {boolean} flash */
  #paintRow(view, flash) {
    this.#dirty.delete(view.symbol);
    const quote = this.store.rows.get(view.symbol);
    if (!quote) return;
    try {
      view.paint(quote, {
        turnover: this.#turnover(view, quote),
        stale: this.stale,
        flash: flash && !STILL.matches && !document.hidden,
      });
      view.paintAge(this.#now());
    } catch (error) {
      reportError(error); // one bad row must not stop the rows behind it
    }
  }

  /** @param {import("./row_view.js").RowView} view @param {Quote} quote */
  #turnover(view, quote) {
    const rate = this.rates.get(view.funding ? view.base_code : view.quote_code);
    if (rate === undefined || quote.volume === null) return null;
    const last = view.funding ? 1 : quote.last;
    const usd = last === null ? null : quote.volume * last * rate;
    return Number.isFinite(usd) ? usd : null;
  }

  #second() {
    this.history.sample(this.store.rows.values(), this.#now());
    if (document.hidden) return;
    for (const view of this.#views.values()) {
      if (!view.visible) continue;
      view.paintAge(this.#now());
      const last = this.store.rows.get(view.symbol)?.last;
      const points = this.history.of(view.symbol);
      if (last != null) points.push([this.#now(), last]);
      view.paintTrend(points);
    }
  }

  #catchUp() {
    const run = () => {
      for (const symbol of [...this.#dirty]) {
        const view = this.#views.get(symbol);
        if (view) this.#paintRow(view, false);
        else this.#dirty.delete(symbol);
      }
    };
    if (!this.#dirty.size || document.hidden) return;
    if ("requestIdleCallback" in window) requestIdleCallback(run, { timeout: CATCH_UP_MS });
    else run();
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #moved(entries) {
    for (const { target, isIntersecting } of entries) {
      const view = this.#byElement.get(target);
      if (!view) continue;
      view.visible = isIntersecting;
      if (isIntersecting) this.#paintRow(view, false);
    }
    this.moved();
  }

  #now() {
    return Date.now() + this.store.offset;
  }
}

/** @param {HTMLElement[]} cells */
function fade(cells) {
  for (const { dataset } of cells) if (dataset.flash) dataset.flash = `${dataset.flash}-fades`;
}

/** @param {HTMLElement[]} cells */
function unflash(cells) {
  for (const cell of cells) delete cell.dataset.flash;
}
