// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { effectScope, ref, type EffectScope } from "vue";

import { useShell } from "../src/composables/useShell";
import { assetsOf, hasNewBuild } from "../src/shell";

const page = (build: string) => `<head><script src="./assets/index-${build}.js"></script></head>`;
let scope: EffectScope;
let fetched: string[];

function serves(build: string, assetStatus = 200, also = "") {
  fetched = [];
  vi.stubGlobal("fetch", (name: string) => {
    fetched.push(name);
    return Promise.resolve(
      name === "./" ? new Response(page(build) + also) : new Response("", { status: assetStatus }),
    );
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  scope = effectScope();
  const ours = document.createElement("link"); // happy-dom would load a script
  ours.setAttribute("data-from", "./assets/index-one.js");
  document.head.replaceChildren(ours);
});
afterEach(() => {
  scope.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("knows a build by the names of its files", () => {
  expect(assetsOf(page("b") + page("a") + page("b"))).toEqual(["assets/index-a.js", "assets/index-b.js"]);
});

it("takes the same build for no new one", async () => {
  serves("one");
  expect(await hasNewBuild()).toBe(false);
});

it("takes a new build only when all of it is here", async () => {
  serves("two");
  expect(await hasNewBuild()).toBe(true);
  expect(fetched).toEqual(["./", "assets/index-two.js"]);
  serves("two", 404);
  await expect(hasNewBuild()).rejects.toThrow("not all there");
});

it("keeps of all languages those that this screen speaks, and takes them for no other build", async () => {
  const [de, fr] = ["./assets/tongue-de-AAAAAAAA.js", "./assets/tongue-fr-BBBBBB-B.js"];
  const named = [de, fr].map((name) => `<meta content="${name}">`).join("");
  window.history.replaceState(null, "", "?lang=de,en");
  serves("two", 200, named);
  expect(await hasNewBuild()).toBe(true);
  expect(fetched).toEqual(["./", "assets/index-two.js", "assets/tongue-de-AAAAAAAA.js"]);
  document.head.insertAdjacentHTML("beforeend", named);
  serves("one", 200, named);
  expect(await hasNewBuild()).toBe(false);
});

it("reloads when nobody has needed the screen for some seconds, and the server is there", async () => {
  serves("two");
  const [live, idle, reload] = [ref(true), ref(false), vi.fn()];
  scope.run(() => useShell(live, idle, reload));
  await vi.advanceTimersByTimeAsync(120_000);
  idle.value = true;
  live.value = false;
  await vi.advanceTimersByTimeAsync(60_000);
  live.value = true;
  await vi.advanceTimersByTimeAsync(4000);
  expect(reload).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(3000);
  expect(reload).toHaveBeenCalled();
});

it("stays with the build that it has while the server has no other", async () => {
  serves("one");
  const reload = vi.fn();
  scope.run(() => useShell(ref(true), ref(true), reload));
  await vi.advanceTimersByTimeAsync(300_000);
  expect(reload).not.toHaveBeenCalled();
});
