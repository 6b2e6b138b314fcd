// @vitest-environment happy-dom
import { effectScope } from "vue";
import { afterEach, beforeEach, expect, it } from "vitest";

import { useKeys } from "../src/composables/useKeys";

let touched: string[] = [];
let scope = effectScope();

const tile = (thing: string) => {
  const made = document.createElement("li");
  made.dataset["thing"] = thing;
  return made;
};

function withButton(thing: string) {
  const made = tile(thing);
  const button = document.createElement("button");
  button.className = "touch";
  button.addEventListener("click", () => touched.push(thing));
  made.append(button);
  return made;
}

const type = (key: string, how: KeyboardEventInit = {}, on: EventTarget = document.body) =>
  on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...how }));

beforeEach(() => {
  touched = [];
  document.body.replaceChildren(
    withButton("staff-hana"),
    tile("machine-oven"),
    withButton("staff-sora"),
    tile("staff-riku"),
  );
  scope = effectScope();
  scope.run(useKeys);
});
afterEach(() => scope.stop());

it("touches the person at that place, and nobody who may not be called", () => {
  for (const key of ["1", "2", "3", "4", "0", "x", "Enter"]) type(key);
  expect(touched).toEqual(["staff-hana", "staff-sora"]);
});

it("takes no key that is held, typed into a field, or meant for the browser", () => {
  const field = document.body.appendChild(document.createElement("input"));
  type("1", { repeat: true });
  type("1", { ctrlKey: true });
  type("1", {}, field);
  expect(touched).toEqual([]);
});

it("hears nothing any more once the page is gone", () => {
  scope.stop();
  type("1");
  expect(touched).toEqual([]);
});
