/**
 * What the page says of itself, pure: the feed's word as long as our own connection brings it,
 * and the truth about the connection when it does not. `market/display.py` has the same sentences.
 */

const GRACE_MS = 2000; // a connection that is back this fast is not worth a word
const TAIL = " The values below are the last known ones.";

/** @typedef {{state: FeedState, notice: string, allStale: boolean}} PageState */

/**
 * @param {FeedStatus | null} feed
 * @param {Link} link
 * @param {number} now ms of our clock
 * @param {number} offset server clock minus ours
 * @param {number} lostAt when our connection was lost, ms; Infinity while there is one
 * @param {number} rows how many the page shows
 * @returns {PageState}
 */
export function pageState(feed, link, now, offset, lostAt, rows) {
  if (link.state !== "open" && now - lostAt > GRACE_MS) return withoutServer(link, now, rows);
  if (!feed || feed.state === "connecting") {
    const made = feed?.wanted ? `, ${feed.sockets} of ${feed.wanted} connections` : "";
    return { state: "connecting", notice: `Connecting to Bitfinex${made}…`, allStale: false };
  }
  if (feed.state === "live") return { state: "live", notice: "", allStale: false };
  const reason = feed.reason || "prices have stopped";
  return {
    state: feed.state,
    notice: sentence(feed.state, reason, feed.retry_at, now + offset) + tail(rows),
    allStale: feed.sockets === 0,
  };
}

/** @param {Link} link @param {number} now @param {number} rows @returns {PageState} */
function withoutServer(link, now, rows) {
  const reason = "no connection to this dashboard";
  return {
    state: "offline",
    notice: sentence("offline", reason, link.retryAt, now) + tail(rows),
    allStale: true,
  };
}

/** @param {FeedState} state @param {string} reason @param {number | null} retryAt @param {number} now */
function sentence(state, reason, retryAt, now) {
  const word = state.charAt(0).toUpperCase() + state.slice(1);
  if (retryAt === null) return `${word}: ${reason}.`;
  const wait = Math.max(0, Math.ceil((retryAt - now) / 1000));
  return `${word}: ${reason}, next try in ${wait} s.`;
}

/** Nothing is said of values where none are shown. @param {number} rows */
function tail(rows) {
  return rows ? TAIL : "";
}
