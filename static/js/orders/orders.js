import { OrdersWatch } from "./orders_watch.js";

customElements.define("orders-watch", OrdersWatch);
