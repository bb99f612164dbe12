import { admits, comparator, DEFAULT_SORT, nextSort, usdRates } from "../listing.js";
import { socket, store } from "../live.js";
import { Painter } from "../painter.js";
import { favourites, rememberFavourites } from "../preferences.js";
import { keepStop, rowKeys } from "../row_keys.js";
import { newRow, RowView } from "../row_view.js";
import { History } from "../trend.js";

const RESORT_MS = 5000;
const MOST_WATCHED = 100;

/**
 * The grid: wraps the server's form and tables, keeps rows for the symbols of the store, and
 * decides which are shown and in which order. Painting is the `Painter`'s.
 */
export class TickerTable extends HTMLElement {
  /** @type {Map<string, RowView>} */
  #views = new Map();
  #favourites = favourites();
  #history = new History();
  /** @type {Set<string>} */
  #unnamed = new Set();
  #painter = new Painter(store, this.#history, () => this.#watch());

  connectedCallback() {
    this.form = /** @type {HTMLFormElement} */ (this.querySelector("form"));
    for (const tr of this.querySelectorAll("tbody tr")) {
      this.#adopt(new RowView(/** @type {HTMLTableRowElement} */ (tr)));
    }
    store.seed([...this.#views.values()].map((view) => view.read()));
    store.offset = Number(this.dataset.now) - Date.now();
    this.#listen();
    this.#painter.start();
    this.#arrange();
    this.#loadHistory();
    store.listen((change) => this.#change(change));
    document.addEventListener("feed-state", (event) => {
      this.#painter.setStale(/** @type {CustomEvent} */ (event).detail.allStale);
    });
    setInterval(() => this.#resort(), RESORT_MS);
  }

  #listen() {
    const { form } = this;
    if (!form) return;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { submitter } = event;
      if (submitter instanceof HTMLButtonElement && submitter.name === "sort") {
        this.#sortBy(submitter.value);
      }
    });
    form.addEventListener("input", () => this.#arrange());
    this.addEventListener("click", ({ target }) => {
      const star = target instanceof Element && target.closest(".pin button");
      const view = star && this.#viewOf(star);
      if (view) this.#toggleFavourite(view);
    });
    rowKeys(this, {
      search: /** @type {HTMLInputElement} */ (form.elements.namedItem("q")),
      cleared: () => this.#arrange(),
      rows: () => this.#shownRows(),
      favourite: (row) => {
        const view = this.#viewOf(row);
        if (view) this.#toggleFavourite(view);
      },
    });
  }

  /** @param {import("../store.js").Change} change */
  #change({ symbols, snapshot, news }) {
    for (const symbol of symbols) {
      if (!this.#views.has(symbol)) this.#unnamed.add(symbol);
    }
    if (this.#unnamed.size) this.#nameNewRows();
    if (snapshot) {
      for (const [symbol, view] of this.#views) if (!store.rows.has(symbol)) this.#remove(view);
      this.#arrange();
    }
    this.#painter.paint(symbols);
    if (news) this.#painter.setStale(this.#painter.stale);
  }

  // Rows ------------------------------------------------------------------------------------------

  /** @param {RowView} view */
  #adopt(view) {
    this.#views.set(view.symbol, view);
    view.setFavourite(this.#favourites.has(view.symbol));
    view.leaveTabOrder();
    this.#painter.add(view);
  }

  /** @param {RowView} view */
  #remove(view) {
    this.#views.delete(view.symbol);
    this.#painter.remove(view);
    view.tr.remove();
  }

  #naming = false;

  /** Rows that the page came without: ask the server for their names, once for all of them. */
  async #nameNewRows() {
    if (this.#naming) return;
    this.#naming = true;
    try {
      const answer = await fetch(this.dataset.symbolsUrl ?? "");
      /** @type {{symbols: Record<string, Names>}} */
      const { symbols } = await answer.json();
      for (const symbol of this.#unnamed) {
        const names = symbols[symbol];
        if (names && !this.#views.has(symbol)) this.#insert(symbol, names);
      }
      this.#unnamed.clear();
      this.#arrange();
    } catch {
      // no connection: the next frame asks again
    } finally {
      this.#naming = false;
    }
  }

  /** @param {string} symbol @param {Names} names */
  #insert(symbol, names) {
    const section = this.#section(symbol.startsWith("f"));
    const template = /** @type {HTMLTemplateElement} */ (section.querySelector("template"));
    const tr = newRow(template, symbol, names);
    section.querySelector("tbody")?.append(tr);
    this.#adopt(new RowView(tr));
    this.#painter.paint([symbol]);
  }

  /** @param {boolean} funding @returns {HTMLElement} */
  #section(funding) {
    const name = funding ? "funding" : "pairs";
    return /** @type {HTMLElement} */ (this.querySelector(`[data-section="${name}"]`));
  }

  /** @param {Element} inside */
  #viewOf(inside) {
    return this.#views.get(inside.closest("tr")?.dataset.symbol ?? "");
  }

  #shownRows() {
    return [...this.querySelectorAll("tbody tr:not([hidden])")].filter(
      (tr) => !tr.closest("[hidden]"),
    );
  }

  // Which, and in which order ---------------------------------------------------------------------

  #wish() {
    const asked = new FormData(this.form);
    return {
      q: String(asked.get("q") ?? ""),
      show: String(asked.get("show") ?? ""),
      sort: String(asked.get("sort") ?? DEFAULT_SORT),
    };
  }

  /** @param {string} sort */
  #sortBy(sort) {
    const field = this.form?.querySelector("input[name=sort]");
    if (field instanceof HTMLInputElement) field.value = sort;
    const column = sort.replace("-", "");
    for (const head of this.querySelectorAll("th[data-column]")) {
      const name = /** @type {HTMLElement} */ (head).dataset.column ?? "";
      if (name === column) head.ariaSort = sort === column ? "ascending" : "descending";
      else head.removeAttribute("aria-sort");
      const button = head.querySelector("button");
      if (button) button.value = nextSort(name, sort);
    }
    this.#arrange();
  }

  /** @param {RowView} view */
  #toggleFavourite(view) {
    view.setFavourite(!view.favourite);
    if (view.favourite) this.#favourites.add(view.symbol);
    else this.#favourites.delete(view.symbol);
    rememberFavourites(this.#favourites);
    this.#arrange();
  }

  #arrange() {
    const wish = this.#wish();
    let shown = 0;
    for (const funding of [false, true]) {
      const views = [...this.#views.values()].filter((view) => view.funding === funding);
      const shownHere = this.#filter(views, wish);
      this.#section(funding).hidden = shownHere === 0;
      shown += shownHere;
      this.#sort(views, wish.sort, funding);
    }
    keepStop(this, this.#shownRows());
    this.#tellCount(shown);
    this.#noteAddress(wish);
    this.#painter.flush();
  }

  /** @param {RowView[]} views @param {import("../listing.js").Wish} wish */
  #filter(views, wish) {
    let shown = 0;
    for (const view of views) {
      const admitted = admits(wish, view, view.favourite);
      if (view.tr.hidden === admitted) view.tr.hidden = !admitted;
      if (admitted) shown += 1;
    }
    return shown;
  }

  /** @param {RowView[]} views @param {string} sort @param {boolean} funding */
  #sort(views, sort, funding) {
    this.#painter.rates = usdRates(this.#pairs());
    const column = sort.replace("-", "");
    const sortable = views.map((view) => ({
      view,
      label: view.label,
      paper: view.paper,
      favourite: view.favourite,
      number: this.#painter.number(view, column),
    }));
    sortable.sort(comparator(sort));
    const body = this.#section(funding).querySelector("tbody");
    const wanted = sortable.map(({ view }) => view.tr);
    if (body && wanted.some((tr, at) => body.children[at] !== tr)) {
      const focused = document.activeElement;
      body.append(...wanted);
      if (focused instanceof HTMLElement && body.contains(focused)) focused.focus();
    }
  }

  *#pairs() {
    for (const view of this.#views.values()) {
      if (view.funding || view.paper) continue;
      const last = store.rows.get(view.symbol)?.last ?? null;
      yield { base_code: view.base_code, quote_code: view.quote_code, last };
    }
  }

  /** Values moved: put rows in order again, unless somebody is just using one. */
  #resort() {
    const busy = this.querySelector("tbody:hover, tbody :focus, tbody:focus-within");
    if (!busy && !document.hidden) this.#arrange();
  }

  /** @param {number} shown */
  #tellCount(shown) {
    const count = this.querySelector("[data-count]");
    const text = `${shown} of ${this.#views.size}`;
    if (count && count.textContent !== text) count.textContent = text;
    const empty = /** @type {HTMLElement} */ (this.querySelector("[data-empty]"));
    empty.hidden = shown > 0;
    if (this.#views.size && !shown && !empty.dataset.filled) {
      empty.dataset.filled = "";
      empty.textContent = "Nothing matches. Esc in the search field clears it.";
    }
  }

  /** Keep the address one that shows the same again. @param {import("../listing.js").Wish} wish */
  #noteAddress(wish) {
    const address = new URL(location.href);
    const defaults = { q: "", show: "", sort: DEFAULT_SORT };
    for (const name of /** @type {const} */ (["q", "show", "sort"])) {
      if (wish[name] === defaults[name]) address.searchParams.delete(name);
      else address.searchParams.set(name, wish[name]);
    }
    if (address.href !== location.href) history.replaceState(null, "", address);
  }

  // Beside the rows -------------------------------------------------------------------------------

  #watch() {
    const seen = [...this.#views.values()].filter((view) => view.visible && !view.tr.hidden);
    const wanted = new Set([...seen.map((view) => view.symbol), ...this.#favourites]);
    socket.watch([...wanted].filter((symbol) => store.rows.has(symbol)).slice(0, MOST_WATCHED));
  }

  async #loadHistory() {
    try {
      const answer = await fetch(this.dataset.historyUrl ?? "");
      this.#history.load(await answer.json());
    } catch {
      // the trend starts with this page
    }
  }
}
