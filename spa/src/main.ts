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
const clientId = `kiosk-${id.replace(/[^a-z0-9_-]/g, "").slice(0, 24)}-${Math.random().toString(36).slice(2, 12)}`;

const signIn = signingIn();

createApp(App, {
  id,
  tongues: await tonguesOf(languages(asked.get("lang"))),
  pairing: asked.has("pair"),
  theme: asked.get("theme"),
  sounds: sounds(asked),
  currentWay: () => currentWay(signIn),
  dial: dialAs(clientId, isBoothId(id) ? id : "main"),
}).mount("#app");
