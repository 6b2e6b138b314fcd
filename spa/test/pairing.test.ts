// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { cancel, pair, press, tokenOf } from "../src/pairing";

const asked: { door: string; body: unknown; token: string | null }[] = [];
let answers: (() => Response)[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  asked.length = 0;
  vi.stubGlobal("fetch", (door: string, how: RequestInit) => {
    const token = new Headers(how.headers).get("Authorization");
    asked.push({ door, body: JSON.parse(how.body as string), token });
    const answer = answers.shift();
    return answer ? Promise.resolve(answer()) : Promise.reject(new Error("away"));
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const says =
  (body: object, status = 200) =>
  () =>
    Response.json(body, { status });

async function paired() {
  answers = [says({ token: "T" })];
  await pair("main", "12345 67890");
}

it("keeps the token that a code is made into, for its booth only", async () => {
  await paired();
  expect(asked).toEqual([{ door: "kiosk/pair", body: { code: "12345 67890", booth: "main" }, token: null }]);
  expect([tokenOf("main"), tokenOf("hall")]).toEqual(["T", ""]);
});

it("sends a touch again with the same id until there is an answer, the token in a header", async () => {
  await paired();
  answers = [says({}, 503), says({ thing: "staff-sora", call: "C" })];
  const touched = press("main", "hana", "touch-1");
  await vi.advanceTimersByTimeAsync(2000);
  expect(await touched).toEqual({ thing: "staff-sora", call: "C" });
  const sent = { door: "kiosk/press", body: { staff: "hana", id: "touch-1" }, token: "Bearer T" };
  expect(asked.slice(1)).toEqual([sent, sent]);
});

it("gives up after some tries, so that the visitor can be sent to the desk", async () => {
  await paired();
  const failed = expect(press("main", "hana", "x")).rejects.toThrow("away");
  await vi.advanceTimersByTimeAsync(10_000);
  await failed;
  expect(asked).toHaveLength(5);
});

it("forgets a token that was revoked, and does not ask again", async () => {
  await paired();
  answers = [says({}, 401)];
  await expect(cancel("main", { thing: "staff-hana", call: "C" })).rejects.toThrow("401");
  expect([tokenOf("main"), asked.length]).toEqual(["", 2]);
  expect(asked[1]?.body).toEqual({ staff: "hana", call: "C" });
});
