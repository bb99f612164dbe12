import { OrderWatch } from "./order_watch.js";

customElements.define("order-watch", OrderWatch);
