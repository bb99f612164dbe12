/**
 * Past prices, thinned as they grow old, and the line they make. Pure. Starts from what the server
 * has seen (`market/history.py`, the same rule) and goes on with what this page sees.
 */

export const POINTS = 48;
const DAY_MS = 86_400_000;

export class History {
  /** @type {number[]} */
  #times = [];
  /** @type {Map<string, (number | null)[]>} */
  #prices = new Map();
  #stepMs;

  /** @param {number} [stepMs] */
  constructor(stepMs = 5000) {
    this.#stepMs = stepMs;
  }

  /** What the server has seen. @param {{step: number, times: number[], prices: Record<string, (number | null)[]>}} saved */
  load({ step, times, prices }) {
    this.#stepMs = step;
    this.#times = times;
    this.#prices = new Map(Object.entries(prices));
  }

  /** Note every last price, when it is time again. @param {Iterable<Quote>} quotes @param {number} now */
  sample(quotes, now) {
    const newest = this.#times.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (now - newest < this.#stepMs) return;
    const length = this.#times.push(now);
    for (const { symbol, last } of quotes) {
      const prices = this.#prices.get(symbol) ?? [];
      this.#prices.set(symbol, prices);
      while (prices.length < length - 1) prices.push(null);
      prices.push(last);
    }
    if (length > POINTS) this.#thin();
  }

  /** `[time, price]` of one symbol, oldest first. @param {string} symbol @returns {[number, number][]} */
  of(symbol) {
    const prices = this.#prices.get(symbol) ?? [];
    return this.#times.flatMap((time, at) => {
      const price = prices[at];
      return price == null ? [] : [/** @type {[number, number]} */ ([time, price])];
    });
  }

  /** Half as dense; once a day is covered, the oldest goes instead. */
  #thin() {
    const whole = this.#stepMs * POINTS >= DAY_MS;
    /** @param {unknown} _ @param {number} at */
    const stays = (_, at) => (whole ? at > 0 : at % 2 === 0);
    this.#times = this.#times.filter(stays);
    for (const [symbol, prices] of this.#prices) this.#prices.set(symbol, prices.filter(stays));
    if (!whole) this.#stepMs *= 2;
  }
}

/**
 * The `points` of an SVG polyline; "" where there is no line yet.
 *
 * @param {[number, number][]} points @param {number} width @param {number} height
 */
export function polyline(points, width, height) {
  const first = points[0];
  const final = points.at(-1);
  if (!first || !final || points.length < 2 || final[0] === first[0]) return "";
  const prices = points.map(([, price]) => price);
  const low = Math.min(...prices);
  const range = Math.max(...prices) - low;
  return points
    .map(([time, price]) => {
      const x = ((time - first[0]) / (final[0] - first[0])) * width;
      const y = range ? height - ((price - low) / range) * height : height / 2;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
}
