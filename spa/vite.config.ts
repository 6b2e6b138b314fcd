import vue from "@vitejs/plugin-vue";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** The kiosk's page names the file of each language, so that a screen can put those it speaks on its shelf. */
const tongues: Plugin = {
  name: "tongues",
  transformIndexHtml: {
    order: "post",
    handler: (_, { bundle, filename }) =>
      Object.keys(filename.endsWith("index.html") ? (bundle ?? {}) : {})
        .filter((name) => name.startsWith("assets/tongue-"))
        .sort()
        .map((name) => ({ tag: "meta", attrs: { name: "tongue", content: `./${name}` }, injectTo: "head" })),
  },
};

export default defineConfig({
  base: "./", // served from any folder
  plugins: [vue({ features: { optionsAPI: false } }), tongues],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    license: { fileName: "licenses.md" }, // MQTT.js and Vue ask for it in every copy
    rolldownOptions: {
      input: ["index.html", "admin.html"],
      output: {
        chunkFileNames: ({ facadeModuleId }) =>
          `assets/${facadeModuleId?.includes("/src/tongues/") ? "tongue-" : ""}[name]-[hash].js`,
      },
    },
  },
  test: { include: ["test/**/*.test.ts"] },
});
