import { createApp } from "vue";

import App from "./App.vue";
import { signingIn } from "./cognito";
import { dialAs } from "./mqtt";
import { currentUrl } from "./config";
import { language } from "./words";
import "./style.css";

const asked = new URLSearchParams(location.search);
const id = asked.get("booth") || "main";
const clientId = `kiosk-${id.replace(/[^a-z0-9_-]/g, "").slice(0, 24)}-${Math.random().toString(36).slice(2, 12)}`;

const signIn = signingIn();

createApp(App, {
  id,
  language: language(asked.get("lang"), navigator.languages),
  currentUrl: () => currentUrl(signIn),
  dial: dialAs(clientId),
}).mount("#app");
