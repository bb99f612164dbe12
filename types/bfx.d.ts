/** What crosses the socket and the modules; see docs/websocket.md. Numbers are the exchange's own. */

type FeedState = "live" | "connecting" | "stale" | "offline";

/** The feed's word on itself. Times in ms since epoch. */
interface FeedStatus {
  state: FeedState;
  since: number;
  at: number;
  retry_at: number | null;
  reason: string;
  sockets: number;
  wanted: number;
}

/** One row of the wire, by name. `source`: 0 snapshot, 1 live, 2 stale. */
interface Quote {
  symbol: string;
  last: number | null;
  bid: number | null;
  ask: number | null;
  change: number | null;
  change_percent: number | null;
  volume: number | null;
  high: number | null;
  low: number | null;
  seen: number;
  source: number;
  frr?: number | null;
  bid_period?: number | null;
  ask_period?: number | null;
}

type QuoteNumber = Exclude<keyof Quote, "symbol">;

interface Frame {
  seq?: number;
  snapshot?: boolean;
  now?: number;
  fields?: string[];
  feed?: FeedStatus;
  rows?: unknown[][];
  pong?: number;
  error?: string;
  symbols?: string[];
}

/** Our own connection to this dashboard. `retryAt` and `since` in ms of the browser's clock. */
interface Link {
  state: "connecting" | "open" | "waiting";
  since: number;
  retryAt: number | null;
  latency: number | null;
}

/** Names of a symbol, as `tickers/symbols/` gives them. */
interface Names {
  base: string;
  base_code: string;
  quote: string;
  quote_code: string;
  name: string;
  label: string;
  paper: boolean;
  curl_url: string;
}

type SourceWord = "snapshot" | "live" | "stale";
