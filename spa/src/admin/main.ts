import { createApp } from "vue";

import AdminApp from "./AdminApp.vue";
import { asking } from "./api";
import "./style.css";
import { language } from "./words";

const asked = new URLSearchParams(location.search).get("lang");

createApp(AdminApp, {
  language: language(asked, navigator.languages),
  ask: asking(() => location.reload()), // to whom is not logged in, the same address shows the login
  leave: async () => {
    await fetch("/admin/logout", { method: "POST", redirect: "manual" });
    location.assign("/admin");
  },
}).mount("#admin");
