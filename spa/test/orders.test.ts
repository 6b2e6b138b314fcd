// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { effectScope, ref, type EffectScope } from "vue";

import { useOrders } from "../src/composables/useOrders";
import { clientIdOf } from "../src/mqtt";
import { inboxOf, isInbox, notice, order, type Notice } from "../src/orders";
import { fakeLink, T0 } from "./service";

const INBOX = inboxOf("kiosk-main-abc");
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

function told(announced: Notice | null = null) {
  const { link, say } = fakeLink();
  const now = ref(T0);
  const orders = scope.run(() => useOrders(link, () => announced, now));
  if (!orders) throw new Error("no scope");
  return { ...orders, now, say };
}

it.each(["", "x", "[]", "null", "7", '{"do":"press"}', '{"do":"say"}', '{"do":"say","text":7}', '{"do":["reload"]}'])(
  "takes %s for no order",
  (payload) => {
    expect(order(payload)).toBeNull();
  },
);

it("reads what is said as plain text on one line", () => {
  expect(notice({ text: " a\n\u202eb ", until: 5 })).toEqual({ text: "a b", until: 5 });
  expect(notice({ text: "x".repeat(300) })).toEqual({ text: "x".repeat(200), until: 0 });
  expect(notice(null)).toBeNull();
});

it("shows an announcement until it is over, and one that both say once", () => {
  const { texts, now, say } = told({ text: "Closed at six", until: T0 + 9000 });
  expect(texts.value).toEqual(["Closed at six"]);
  say(INBOX, JSON.stringify({ do: "say", text: "Back at one", until: T0 + 5000 }));
  expect(texts.value).toEqual(["Closed at six", "Back at one"]);
  now.value = T0 + 5000;
  expect(texts.value).toEqual(["Closed at six"]);
  say(INBOX, JSON.stringify({ do: "say", text: "Closed at six", until: T0 + 7000 }));
  expect(texts.value).toEqual(["Closed at six"]);
  now.value = T0 + 9000;
  expect(texts.value).toEqual([]);
});

it("says for ten seconds which screen it is", () => {
  const { named, say } = told();
  say(INBOX, '{"do":"identify"}');
  vi.advanceTimersByTime(9000);
  say(INBOX, '{"do":"identify"}');
  vi.advanceTimersByTime(9000);
  expect(named.value).toBe(true);
  vi.advanceTimersByTime(1000);
  expect(named.value).toBe(false);
});

it("hears orders on its own topic alone", () => {
  const { texts, mayReload, say } = told();
  for (const topic of ["$aws/things/staff-a/shadow/update/documents", "kiosk/x/y/in", "x/kiosk/a/in"]) {
    say(topic, '{"do":"reload"}');
    expect(isInbox(topic)).toBe(false);
  }
  expect(mayReload.value).toBe(false);
  say(INBOX, '{"do":"reload"}');
  expect(mayReload.value).toBe(true);
  expect(texts.value).toEqual([]);
});

it("has on AWS who is signed in in its name", () => {
  const screen = { clientId: "kiosk-east-wing-abc", booth: "east-wing" };
  expect(clientIdOf(screen, "")).toBe("kiosk-east-wing-abc");
  expect(clientIdOf(screen, "eu-west-1:12-34")).toBe("kiosk-east-wing-eu-west-1:12-34.abc");
});
