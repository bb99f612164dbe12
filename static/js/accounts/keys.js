import { WatchKeys } from "./watch_keys.js";

customElements.define("watch-keys", WatchKeys);
