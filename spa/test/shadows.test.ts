import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { effectScope, type EffectScope } from "vue";

import { useShadows } from "../src/composables/useShadows";
import { asked, booth, call, delta, documents, fakeLink, got, rejected, told } from "./service";

let scope: EffectScope;
beforeEach(() => {
  vi.useFakeTimers();
  scope = effectScope();
});
afterEach(() => {
  scope.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function screen(id = "main") {
  const fake = fakeLink();
  const times: number[] = [];
  const seen = scope.run(() => useShadows(fake.link, id, (at) => times.push(at)));
  if (!seen) throw new Error("no scope");
  const settle = () => vi.advanceTimersByTime(0);
  settle();
  const names = () => [...seen.people.value.values()].map(({ name }) => name);
  return { ...fake, ...seen, times, settle, names };
}

function running() {
  const all = screen();
  all.say(...got("booth-main", booth("Front", ["a", "b"])));
  all.settle();
  all.say(...got("staff-a", told("Ann")));
  all.say(...got("staff-b", told("Bob")));
  return all;
}

it("asks for the booth, then for its staff, and is live when all have answered", () => {
  const { asks, say, settle, live, booth: seen, names } = screen();
  expect(asks).toEqual(["booth-main"]);
  say(...got("booth-main", booth("Front", ["a", "b"])));
  settle();
  expect(asks).toEqual(["booth-main", "staff-a", "staff-b"]);
  expect(seen.value).toMatchObject({ title: "Front", staff: ["staff-a", "staff-b"] });
  say(...got("staff-a", told("Ann")));
  expect(live.value).toBe(false);
  say(...got("staff-b", told("Bob")));
  expect([live.value, names()]).toEqual([true, ["Ann", "Bob"]]);
});

it("takes another screen's answer, and documents, for an answer", () => {
  const { asks, say, settle, live } = screen();
  say(...got("booth-main", booth("Front", ["a", "b"])));
  say(...got("staff-a", told("Ann")));
  say(...documents("staff-b", told("Bob")));
  settle();
  expect([asks, live.value]).toEqual([["booth-main"], true]);
});

it("lives on deltas and documents", () => {
  const { say, people } = running();
  say(...delta("staff-a", 2, { state: "calling" }));
  expect(people.value.get("staff-a")).toMatchObject({ state: "calling", told: false });
  say(...documents("staff-a", told("Ann", asked("calling"), 3)));
  expect(people.value.get("staff-a")).toMatchObject({ state: "calling", told: true });
});

it("asks at once for whom somebody's call went to, while others have not answered", () => {
  const { asks, say, settle, live } = screen();
  say(...got("booth-main", booth("Front", ["a", "b", "c"])));
  settle();
  say(...got("staff-a", told("Ann", asked("idle", { call: call({ to: "staff-z", end: "refused" }) }))));
  settle();
  expect(asks.slice(4)).toEqual(["staff-z"]);
  say(...got("staff-b", told("Bob")));
  say(...got("staff-c", told("Cid")));
  expect(live.value).toBe(false);
  say(...got("staff-z", told("Zoe")));
  expect(live.value).toBe(true);
});

it("tells the time of every message", () => {
  expect(running().times.length).toBe(3);
});

it("hands an unchanged person on as the same one", () => {
  const { say, people } = running();
  const before = people.value.get("staff-b");
  say(...delta("staff-a", 2, { state: "calling" }));
  expect(people.value.get("staff-b")).toBe(before);
});

describe("after a break", () => {
  it("keeps what it showed, marked, until the answers come", () => {
    const { up, say, settle, live, people, asks } = running();
    up.value = false;
    expect(live.value).toBe(false);
    up.value = true;
    settle();
    expect(people.value.get("staff-a")).toMatchObject({ name: "Ann", fresh: false });
    expect(asks.slice(3).sort()).toEqual(["booth-main", "staff-a", "staff-b"]);
    say(...got("booth-main", booth("Front", ["a", "b"])));
    say(...got("staff-a", told("Ann")));
    expect([live.value, people.value.get("staff-a")?.fresh]).toEqual([false, true]);
    say(...got("staff-b", told("Bob")));
    expect(live.value).toBe(true);
  });

  it("believes a service that starts at version 1 again, and removes who is gone", () => {
    const { up, say, names, live } = running();
    say(...documents("staff-a", told("Ann", asked("calling"), 90)));
    up.value = false;
    up.value = true;
    say(...got("booth-main", booth("Front", ["a", "b"])));
    say(...got("staff-a", told("Anna", asked("idle"), 1)));
    say(...rejected("staff-b", 404));
    expect([names(), live.value]).toEqual([["Anna"], true]);
  });

  it("knows that the booth is gone", () => {
    const { up, say, missing, booth: seen, live } = running();
    up.value = false;
    up.value = true;
    say(...rejected("booth-main", 404));
    expect([missing.value.has("booth-main"), seen.value, live.value]).toEqual([true, undefined, true]);
  });
});

describe("a booth that is not there", () => {
  it("is shown as soon as it is made", () => {
    const { say, missing, live, booth: seen } = screen();
    say(...rejected("booth-main", 404));
    expect([missing.value.has("booth-main"), live.value]).toEqual([true, true]);
    say(...documents("booth-main", booth("New", [])));
    expect([missing.value.has("booth-main"), seen.value?.title]).toEqual([false, "New"]);
  });

  it("and cannot be, is not asked for", () => {
    const { asks, missing, live } = screen("a/+/b");
    expect([asks, missing.value.size, live.value]).toEqual([[], 1, true]);
  });
});

describe("a changed list", () => {
  it("adds and removes people, and the link stays live", () => {
    const { say, settle, names, asks, live } = running();
    say(...documents("booth-main", booth("Front", ["b", "c"], 2)));
    settle();
    expect([names(), asks.at(-1), live.value]).toEqual([["Bob"], "staff-c", true]);
    say(...got("staff-c", told("Cid")));
    expect(names()).toEqual(["Bob", "Cid"]);
  });

  it("takes back somebody whose shadow was made anew", () => {
    const { say, settle, names, asks } = running();
    say(...documents("staff-a", told("Ann", asked("idle"), 50)));
    say(...documents("booth-main", booth("Front", ["b"], 2)));
    say(...documents("booth-main", booth("Front", ["a", "b"], 3)));
    settle();
    expect(asks.filter((thing) => thing === "staff-a")).toHaveLength(2);
    say(...got("staff-a", told("Ann the second", asked("idle"), 1)));
    expect(names()).toContain("Ann the second");
  });
});

it("keeps others only while they matter here, and asks whom a call went to", () => {
  const { say, settle, names, asks } = running();
  say(...documents("staff-x", told("Stranger")));
  say(...documents("staff-x", told("Stranger", asked("calling", { call: call({ booth: "other" }) }))));
  expect(names()).not.toContain("Stranger");
  say(...documents("staff-y", told("Helper", asked("calling", { call: call({ to: "staff-z" }) }))));
  settle();
  expect([names().includes("Helper"), asks.at(-1)]).toEqual([true, "staff-z"]);
});

it("asks again after 429, and does not let one unreadable shadow hold up the others", () => {
  const { say, settle, asks, live } = screen();
  say(...got("booth-main", booth("Front", ["a"])));
  settle();
  say(...rejected("staff-a", 429));
  expect(live.value).toBe(false);
  vi.advanceTimersByTime(1000);
  expect(asks.filter((thing) => thing === "staff-a")).toHaveLength(2);
  say(...rejected("staff-a", 500));
  expect(live.value).toBe(true);
});

it("listens to nothing but its booth and staff", () => {
  const { say, names, booth: seen } = running();
  say(...documents("booth-other", booth("Other", ["x"], 9)));
  say(...documents("button-1", told("Button", asked("calling"))));
  say("$aws/things/staff-a/shadow/update/documents", "{");
  expect([names(), seen.value?.title]).toEqual([["Ann", "Bob"], "Front"]);
});
