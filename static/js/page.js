import { DisplaySettings } from "./elements/display_settings.js";

customElements.define("display-settings", DisplaySettings);
