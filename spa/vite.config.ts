import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "./", // served from any folder
  plugins: [vue()],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    license: { fileName: "licenses.md" }, // MQTT.js and Vue ask for it in every copy
    rolldownOptions: { input: ["index.html", "admin.html"] },
  },
  test: { include: ["test/**/*.test.ts"] },
});
