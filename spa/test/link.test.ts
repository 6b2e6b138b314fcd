// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { effectScope, type EffectScope } from "vue";

import { pauseMs, useLink } from "../src/composables/useLink";
import type { Way } from "../src/config";
import { fakeDial } from "./service";

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

const at = (url: string): Way => ({ url, relayed: false, rate: 100, identity: "" });

async function opened(way: () => Promise<Way> = () => Promise.resolve(at("ws://here/mqtt"))) {
  const server = fakeDial();
  const link = scope.run(() => useLink(way, server.dial));
  if (!link) throw new Error("no scope");
  await vi.advanceTimersByTimeAsync(0);
  return { server, link };
}

async function up() {
  const all = await opened();
  all.server.on.subscribed();
  return all;
}

it("is up when it has subscribed, not before", async () => {
  const { server, link } = await opened();
  expect([server.dialled[0]?.url, link.up.value]).toEqual(["ws://here/mqtt", false]);
  server.on.subscribed();
  expect(link.up.value).toBe(true);
});

it("hands on messages and questions", async () => {
  const { server, link } = await up();
  const heard = vi.fn();
  link.onMessage(heard);
  server.say("topic", "text");
  link.get("staff-a");
  expect(heard).toHaveBeenCalledWith("topic", "text");
  expect(server.dialled[0]?.asks).toEqual(["staff-a"]);
});

it("comes back within 2 s of being cut", async () => {
  const { server, link } = await up();
  server.on.closed();
  expect(link.up.value).toBe(false);
  await vi.advanceTimersByTimeAsync(2000);
  expect(server.dialled).toHaveLength(2);
  server.on.subscribed();
  expect(link.up.value).toBe(true);
});

it("finds within 5 s that a server fell silent while the socket stays open", async () => {
  const { server, link } = await up();
  await vi.advanceTimersByTimeAsync(5000);
  expect(server.dialled[0]).toMatchObject({ pings: 1, ended: true });
  expect(link.up.value).toBe(false);
});

it("stays up for as long as the server answers pings", async () => {
  const { server, link } = await up();
  for (let second = 0; second < 60; second += 1) {
    await vi.advanceTimersByTimeAsync(1000);
    server.on.packet();
  }
  expect(link.up.value).toBe(true);
  expect(server.dialled).toHaveLength(1);
  expect(server.dialled[0]?.pings).toBeGreaterThan(20);
});

it("gives up a connection that never gets as far as subscribing", async () => {
  const { server } = await opened();
  await vi.advanceTimersByTimeAsync(8000);
  expect(server.dialled[0]?.ended).toBe(true);
  expect(server.dialled.length).toBeGreaterThan(1);
});

it("hears no more of a connection that it gave up", async () => {
  const { server, link } = await up();
  const old = server.on;
  old.closed();
  await vi.advanceTimersByTimeAsync(2000);
  const heard = vi.fn();
  link.onMessage(heard);
  old.subscribed();
  old.message("topic", "late");
  old.closed();
  expect([link.up.value, heard.mock.calls.length, server.dialled.length]).toEqual([false, 0, 2]);
});

it("is down at once when the browser says offline, and up at once when it says online", async () => {
  const { server, link } = await up();
  window.dispatchEvent(new Event("offline"));
  expect(link.up.value).toBe(false);
  window.dispatchEvent(new Event("online"));
  await vi.advanceTimersByTimeAsync(0);
  expect(server.dialled).toHaveLength(2);
});

it("does not wait when somebody looks at the page again", async () => {
  const { server } = await up();
  server.on.closed();
  document.dispatchEvent(new Event("visibilitychange"));
  await vi.advanceTimersByTimeAsync(0);
  expect(server.dialled).toHaveLength(2);
});

it("tries again when the server cannot say where to connect, and when that is no address", async () => {
  let asked = 0;
  const { server, link } = await opened(() => {
    asked += 1;
    return asked < 3 ? Promise.reject(new Error("away")) : Promise.resolve(at("ws://back/mqtt"));
  });
  await vi.advanceTimersByTimeAsync(4000);
  expect(server.dialled.map(({ url }) => url)).toEqual(["ws://back/mqtt"]);
  expect(link.up.value).toBe(false);
});

it("asks for the address anew for each connect: on AWS it is signed for one", async () => {
  let signed = 0;
  const { server } = await opened(() => Promise.resolve(at(`wss://here/mqtt?signed=${String((signed += 1))}`)));
  server.on.subscribed();
  server.on.closed();
  await vi.advanceTimersByTimeAsync(2000);
  expect(server.dialled.map(({ url }) => url)).toEqual(["wss://here/mqtt?signed=1", "wss://here/mqtt?signed=2"]);
});

it("pauses for 0.3 to 1.2 s, so that many screens do not come in one breath", () => {
  expect([pauseMs(0), pauseMs(1)]).toEqual([300, 1200]);
});

it("tries as often after an hour as at first", async () => {
  const { server } = await opened(() => Promise.reject(new Error("away")));
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(server.dialled).toHaveLength(0);
  const asked = vi.fn(() => Promise.reject(new Error("away")));
  await opened(asked);
  await vi.advanceTimersByTimeAsync(3_600_000);
  asked.mockClear();
  await vi.advanceTimersByTimeAsync(2000);
  expect(asked).toHaveBeenCalled();
});

it("gives a connection up for a new one when asked to, and none that is not up", async () => {
  const { server, link } = await up();
  link.renew();
  expect([server.dialled[0]?.ended, link.up.value]).toEqual([true, false]);
  link.renew();
  await vi.advanceTimersByTimeAsync(1200);
  expect(server.dialled).toHaveLength(2);
});
