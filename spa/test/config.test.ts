import { afterEach, expect, it, vi } from "vitest";

import type { SignIn } from "../src/cognito";
import { config, currentWay, wayOf } from "../src/config";

const NOW = new Date("2026-01-01T00:00:00Z");
const CREDENTIALS = { accessKeyId: "ASIAEXAMPLE", secretKey: "secret", sessionToken: "token" };
const HOST = "example-ats.iot.ap-northeast-1.amazonaws.com";
const POOL = "ap-northeast-1:00000000-0000-4000-8000-000000000000";
const AWS = { place: "aws", mqtt: "", region: "ap-northeast-1", endpoint: HOST, identityPool: POOL };

const signIn = vi.fn<SignIn>(() => Promise.resolve({ credentials: CREDENTIALS, identity: "eu:1", now: () => NOW }));
afterEach(() => {
  signIn.mockClear();
  vi.unstubAllGlobals();
});

it("reads what the server says", async () => {
  const read = config({ place: "local", mqtt: "ws://192.168.1.5:8083/mqtt" });
  expect(read).toEqual({
    place: "local",
    mqtt: "ws://192.168.1.5:8083/mqtt",
    relayed: false,
    region: "",
    endpoint: "",
    identityPool: "",
    cognito: "",
  });
  expect(await wayOf(read, signIn)).toEqual({
    url: "ws://192.168.1.5:8083/mqtt",
    relayed: false,
    rate: 1000,
    identity: "",
  });
  expect(signIn).not.toHaveBeenCalled();
});

it.each([{}, null, { mqtt: 7 }, { mqtt: "http://x" }, { mqtt: "javascript:alert(1)" }])(
  "refuses %j by name",
  async (raw) => {
    await expect(wayOf(config(raw), signIn)).rejects.toThrow(/config\.json: mqtt: expected ws/);
  },
);

it("signs in and signs the address on AWS", async () => {
  const url = new URL((await wayOf(config(AWS), signIn)).url);
  expect(signIn).toHaveBeenCalledWith({ id: POOL, url: "https://cognito-identity.ap-northeast-1.amazonaws.com" });
  expect([url.protocol, url.host, url.pathname]).toEqual(["wss:", HOST, "/mqtt"]);
  expect(url.searchParams.get("X-Amz-Date")).toBe("20260101T000000Z");
  expect(url.searchParams.get("X-Amz-Security-Token")).toBe("token");
});

it("signs in where a test says", async () => {
  await wayOf(config({ ...AWS, cognito: "http://127.0.0.1:4566" }), signIn);
  expect(signIn).toHaveBeenCalledWith({ id: POOL, url: "http://127.0.0.1:4566" });
});

it.each([
  ["region", ""],
  ["region", "ap-northeast-1.evil/"],
  ["endpoint", ""],
  ["endpoint", "https://host"],
  ["endpoint", "host/path?x"],
  ["endpoint", "user@host"],
  ["identityPool", ""],
  ["identityPool", 7],
])("refuses %s %j on AWS by name, and asks nobody", async (name, value) => {
  await expect(wayOf(config({ ...AWS, [name]: value }), signIn)).rejects.toThrow(`config.json: ${name}: expected`);
  expect(signIn).not.toHaveBeenCalled();
});

it("is lost like any link when the sign-in fails", async () => {
  signIn.mockRejectedValueOnce(new Error("NotAuthorizedException"));
  await expect(wayOf(config(AWS), signIn)).rejects.toThrow("NotAuthorizedException");
});

it("signs each connect anew, at the address that config.json has by then", async () => {
  const served = [AWS, { ...AWS, endpoint: "other.iot.ap-northeast-1.amazonaws.com" }];
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json(served.shift())));
  const ways = [await currentWay(signIn), await currentWay(signIn)];
  expect(ways.map(({ url }) => new URL(url).host)).toEqual([HOST, "other.iot.ap-northeast-1.amazonaws.com"]);
  expect(signIn).toHaveBeenCalledTimes(2);
});

it("fails when config.json is not to be had", async () => {
  vi.stubGlobal("fetch", () => Promise.resolve(new Response("", { status: 503 })));
  await expect(currentWay(signIn)).rejects.toThrow("config.json: 503");
});

it.each([true, false, "true", null])("says whether a broker is in between: %j", async (relayed) => {
  const way = await wayOf(config({ place: "local", mqtt: "ws://b:9001/mqtt", relayed }), signIn);
  expect(way.relayed).toBe(relayed === true);
  expect(way.rate).toBe(relayed === true ? 100 : 1000);
});

it("asks once more after a second, for a first question that was lost on the way", async () => {
  vi.useFakeTimers();
  const asked: RequestInit[] = [];
  vi.stubGlobal("fetch", (_: string, how: RequestInit) => {
    asked.push(how);
    return asked.length < 2 ? new Promise(() => undefined) : Promise.resolve(Response.json({ mqtt: "ws://h/mqtt" }));
  });
  const way = currentWay(signIn);
  await vi.advanceTimersByTimeAsync(999);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect((await way).url).toBe("ws://h/mqtt");
  expect(asked.map(({ signal }) => signal?.aborted)).toEqual([true, true]);
  vi.useRealTimers();
});
