import { createApp } from "vue";

import App from "./App.vue";
import { isBoothId } from "./booth";
import { signingIn } from "./cognito";
import { sounds } from "./composables/useSound";
import { tonguesOf } from "./composables/useWords";
import { dialAs } from "./mqtt";
import { currentWay } from "./config";
import { languages } from "./words";
import "./style.css";

const asked = new URLSearchParams(location.search);
const id = asked.get("booth") || "main";
const random = [...crypto.getRandomValues(new Uint8Array(10))].map((byte) => (byte % 36).toString(36)).join("");
const clientId = `kiosk-${id.replace(/[^a-z0-9_-]/g, "").slice(0, 24)}-${random}`;
let connected = clientId;

const signIn = signingIn();

createApp(App, {
  id,
  tongues: await tonguesOf(languages(asked.get("lang"))),
  pairing: asked.has("pair"),
  theme: asked.get("theme"),
  sounds: sounds(asked),
  alarm: asked.get("alarm") === "on",
  currentWay: () => currentWay(signIn),
  screen: () => connected,
  dial: dialAs({ clientId, booth: isBoothId(id) ? id : "main", called: (as) => (connected = as) }),
}).mount("#app");
