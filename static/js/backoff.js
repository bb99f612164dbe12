/** How long to wait before the next connection attempt, pure. Full jitter: many browsers that lose
 * one server at once must not come back at once. */

export const SHORTEST_MS = 500;
export const LONGEST_MS = 15_000;
const RESTART = 1012; // close code of a server that is being restarted
const RESTART_SPREAD_MS = 4000;

/**
 * @param {number} attempt failures so far, 0 after a connection that had worked
 * @param {number} closeCode of the connection that ended
 * @param {() => number} random
 */
export function delay(attempt, closeCode, random) {
  const known = closeCode === RESTART ? RESTART_SPREAD_MS : 1000 * 2 ** Math.min(attempt, 10);
  const ceiling = Math.min(LONGEST_MS, Math.max(known, 2 * SHORTEST_MS));
  return SHORTEST_MS + random() * (ceiling - SHORTEST_MS);
}
