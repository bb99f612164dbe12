/** Which rows are shown and in which order, pure. The server's first order is the same one:
 * `market/listing.py` and `market/views/ticker_page.py`. */

/**
 * @typedef {object} Wish
 * @property {string} q
 * @property {string} show "", "favourites", "funding" or a quote currency
 * @property {string} sort a column, with "-" in front for descending
 */

export const DEFAULT_SORT = "-turnover";
const TEXT_COLUMNS = new Set(["symbol", "age"]);

/** @param {{label: string, symbol: string, name: string}} item */
export function searchText({ label, symbol, name }) {
  return `${label} ${label.replace("/", "")} ${symbol} ${name}`.toLowerCase();
}

/**
 * @param {Wish} wish
 * @param {{search: string, quote_code: string, funding: boolean}} item
 * @param {boolean} favourite
 */
export function admits(wish, item, favourite) {
  if (wish.show === "favourites" && !favourite) return false;
  if (wish.show === "funding" && !item.funding) return false;
  const byQuote = wish.show && wish.show !== "favourites" && wish.show !== "funding";
  if (byQuote && item.quote_code !== wish.show) return false;
  return item.search.includes(wish.q.trim().toLowerCase());
}

/** The sort that pressing a column's head asks for. @param {string} column @param {string} sort */
export function nextSort(column, sort) {
  if (sort === `-${column}`) return column;
  if (sort === column) return `-${column}`;
  return TEXT_COLUMNS.has(column) ? column : `-${column}`;
}

/**
 * Exchange's currency code → last price in USD, direct where there is such a pair, else over one
 * other currency. @param {Iterable<{base_code: string, quote_code: string, last: number | null}>} pairs
 */
export function usdRates(pairs) {
  const known = [...pairs].filter(({ last }) => last && Number.isFinite(last));
  const rates = new Map([["USD", 1]]);
  for (const { base_code, quote_code, last } of known) {
    if (quote_code === "USD") rates.set(base_code, /** @type {number} */ (last));
  }
  for (const { base_code, quote_code, last } of known) {
    const price = /** @type {number} */ (last);
    const quoteRate = rates.get(quote_code);
    const baseRate = rates.get(base_code);
    if (quoteRate !== undefined) {
      if (baseRate === undefined) rates.set(base_code, price * quoteRate);
    } else if (baseRate !== undefined) rates.set(quote_code, baseRate / price);
  }
  return rates;
}

/**
 * @typedef {object} Sortable
 * @property {string} label
 * @property {boolean} paper
 * @property {boolean} favourite
 * @property {number | null} number what the sorted column says
 */

/** Favourites first, paper markets last, rows without the number behind, then the wish, then the
 * name. @param {string} sort */
export function comparator(sort) {
  const flip = sort.startsWith("-") ? -1 : 1;
  const byName = sort.endsWith("symbol");
  /** @param {Sortable} a @param {Sortable} b */
  return (a, b) => {
    if (a.favourite !== b.favourite) return a.favourite ? -1 : 1;
    if (a.paper !== b.paper) return a.paper ? 1 : -1;
    if (byName) return flip * order(a.label, b.label);
    if (a.number === null || b.number === null) {
      if (a.number !== b.number) return a.number === null ? 1 : -1;
      return order(a.label, b.label);
    }
    return flip * (a.number - b.number) || order(a.label, b.label);
  };
}

/** @param {string} a @param {string} b */
function order(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
