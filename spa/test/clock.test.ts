import { expect, it } from "vitest";

import { elapsed, narrowed, serverTime, timeOfDay, UNKNOWN } from "../src/clock";

const HERE = 1_793_235_600_400;

it("is ours while no message carried a time", () => {
  expect(serverTime(narrowed(UNKNOWN, 0, HERE), HERE)).toBe(HERE);
});

it("is ours as long as that agrees with all messages", () => {
  expect(serverTime(narrowed(UNKNOWN, Math.floor(HERE / 1000), HERE), HERE)).toBe(HERE);
});

it("follows a server that is an hour behind, to the second", () => {
  const server = HERE - 3_600_000;
  const offset = narrowed(UNKNOWN, Math.floor(server / 1000), HERE);
  expect(Math.abs(serverTime(offset, HERE) - server)).toBeLessThanOrEqual(1600);
});

it("gets closer with every message", () => {
  const server = (here: number) => here + 90_000;
  let offset = UNKNOWN;
  for (let here = HERE; here < HERE + 20_000; here += 1130) {
    offset = narrowed(offset, Math.floor(server(here) / 1000), here);
  }
  expect(Math.abs(serverTime(offset, HERE) - server(HERE))).toBeLessThan(200);
});

it("believes the newest message after one of the clocks was set", () => {
  const before = narrowed(UNKNOWN, Math.floor(HERE / 1000), HERE);
  const after = narrowed(before, Math.floor(HERE / 1000) + 600, HERE + 1000);
  expect(serverTime(after, HERE) - HERE).toBeGreaterThan(598_000);
});

it("is written as people read it", () => {
  expect([-5000, 0, 65_400, 720_000, 3_723_000].map(elapsed)).toEqual(["0:00", "0:00", "1:05", "12:00", "1:02:03"]);
  expect(timeOfDay(HERE, "ja")).toMatch(/^\d\d:\d\d$/);
});
