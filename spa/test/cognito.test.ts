import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { signingIn, type Pool } from "../src/cognito";
import type { JsonObject } from "../src/shadow";

const T0 = Date.parse("2026-11-01T09:00:00Z");
const MINUTE = 60_000;
const POOL: Pool = { id: "ap-northeast-1:aaaa", url: "https://cognito.example" };

type Answer = [status: number, body: JsonObject];

/** A pool of Cognito's: makes identities, and keys that last an hour by its own clock. */
class Cognito {
  asks: string[] = [];
  requests: [string, RequestInit][] = [];
  identities: string[] = [];
  keys = 0;
  ahead = 0; // of this machine's clock
  saysDate = true;
  instead: Record<string, Answer | Error> = {}; // what it answers to an action, in place of what it should

  readonly fetch = (url: string, init: RequestInit): Promise<Response> => {
    const action = String(new Headers(init.headers).get("X-Amz-Target")).replace("AWSCognitoIdentityService.", "");
    this.asks.push(action);
    this.requests.push([url, init]);
    const answer = this.instead[action] ?? this.answer(action, JSON.parse(String(init.body)) as JsonObject);
    if (answer instanceof Error) return Promise.reject(answer);
    const headers = this.saysDate ? { Date: new Date(this.now()).toUTCString() } : undefined;
    return Promise.resolve(Response.json(answer[1], { status: answer[0], ...(headers && { headers }) }));
  };

  now = () => Date.now() + this.ahead;

  private answer(action: string, body: JsonObject): Answer {
    if (action === "GetId") {
      if (typeof body["IdentityPoolId"] !== "string") return refusal("InvalidParameterException");
      this.identities.push(`id-${String(this.asks.length)}`);
      return [200, { IdentityId: this.identities.at(-1) ?? "" }];
    }
    if (!this.identities.includes(String(body["IdentityId"]))) return refusal("ResourceNotFoundException");
    this.keys += 1;
    const key = { AccessKeyId: `key-${String(this.keys)}`, SecretKey: "secret", SessionToken: "token" };
    return [200, { Credentials: { ...key, Expiration: (this.now() + 60 * MINUTE) / 1000 } }];
  }
}

const refusal = (type: string): Answer => [400, { __type: type, message: "no" }];

let cognito: Cognito;
let shelf: Map<string, string>;
beforeEach(() => {
  vi.useFakeTimers({ now: T0, toFake: ["Date", "performance"] });
  cognito = new Cognito();
  shelf = new Map();
  vi.stubGlobal("fetch", cognito.fetch);
  vi.stubGlobal("localStorage", {
    getItem: (name: string) => shelf.get(name) ?? null,
    setItem: (name: string, value: string) => shelf.set(name, value),
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const keyOf = async (guest: ReturnType<ReturnType<typeof signingIn>>) => (await guest).credentials.accessKeyId;

it("asks for an identity, then for its keys, as Cognito wants to be asked", async () => {
  const guest = await signingIn()(POOL);
  expect(guest.credentials).toEqual({ accessKeyId: "key-1", secretKey: "secret", sessionToken: "token" });
  expect(cognito.asks).toEqual(["GetId", "GetCredentialsForIdentity"]);
  expect(cognito.requests.map(([url, { method, body }]) => [url, method, body])).toEqual([
    [POOL.url, "POST", '{"IdentityPoolId":"ap-northeast-1:aaaa"}'],
    [POOL.url, "POST", '{"IdentityId":"id-1"}'],
  ]);
  const types = cognito.requests.map(([, { headers }]) => new Headers(headers).get("Content-Type"));
  expect(types).toEqual(["application/x-amz-json-1.1", "application/x-amz-json-1.1"]);
});

it("asks nothing again until 5 minutes before the keys end", async () => {
  const signIn = signingIn();
  await signIn(POOL);
  vi.advanceTimersByTime(54.9 * MINUTE);
  expect(await keyOf(signIn(POOL))).toBe("key-1");
  vi.advanceTimersByTime(0.2 * MINUTE);
  expect(await keyOf(signIn(POOL))).toBe("key-2");
  expect(cognito.identities).toEqual(["id-1"]);
});

it("stays the same guest after a reload", async () => {
  await signingIn()(POOL);
  expect(await keyOf(signingIn()(POOL))).toBe("key-2");
  expect(cognito.asks).toEqual(["GetId", "GetCredentialsForIdentity", "GetCredentialsForIdentity"]);
});

it("asks once for two who want to connect at the same time", async () => {
  const signIn = signingIn();
  const both = [signIn(POOL), signIn(POOL)];
  expect(await Promise.all(both.map(keyOf))).toEqual(["key-1", "key-1"]);
  expect(cognito.asks).toHaveLength(2);
});

it.each(["ResourceNotFoundException", "com.amazonaws.cognito#NotAuthorizedException"])(
  "fails once and is another guest after that, when Cognito knows its guest no more: %s",
  async (type) => {
    await signingIn()(POOL);
    const signIn = signingIn();
    cognito.instead = { GetCredentialsForIdentity: refusal(type) };
    await expect(signIn(POOL)).rejects.toThrow(type.replace(/.*#/, ""));
    cognito.instead = {};
    await signIn(POOL);
    expect(cognito.identities).toEqual(["id-1", "id-4"]);
  },
);

it.each<[string, Answer | Error]>([
  ["too many ask", refusal("TooManyRequestsException")],
  ["the pool has no role", refusal("InvalidIdentityPoolConfigurationException")],
  ["Cognito is ill", [500, { __type: "InternalErrorException" }]],
  ["there is no network", new TypeError("Failed to fetch")],
  ["the keys are missing", [200, {}]],
  ["a key is empty", [200, { Credentials: { AccessKeyId: "", SecretKey: "s", SessionToken: "t", Expiration: 1 } }]],
  ["the answer is no object", [200, null as unknown as JsonObject]],
])("fails but stays who it is, when %s", async (_, answer) => {
  const signIn = signingIn();
  cognito.instead = { GetCredentialsForIdentity: answer };
  await expect(signIn(POOL)).rejects.toThrow();
  cognito.instead = {};
  expect(await keyOf(signIn(POOL))).toBe("key-1");
  expect(cognito.identities).toEqual(["id-1"]);
});

it("fails when the pool takes no guests, and keeps no half of an identity", async () => {
  cognito.instead = { GetId: refusal("NotAuthorizedException") };
  await expect(signingIn()(POOL)).rejects.toThrow("NotAuthorizedException");
  expect(shelf).toEqual(new Map());
});

it("signs in anew to another pool", async () => {
  const signIn = signingIn();
  await signIn(POOL);
  expect(await keyOf(signIn({ ...POOL, id: "ap-northeast-1:bbbb" }))).toBe("key-2");
  expect(cognito.identities).toHaveLength(2);
});

it("works where the browser forbids storage", async () => {
  const no = () => {
    throw new DOMException("denied", "SecurityError");
  };
  vi.stubGlobal("localStorage", { getItem: no, setItem: no });
  expect(await keyOf(signingIn()(POOL))).toBe("key-1");
});

it.each([-3, 0, 3])("tells AWS's time, and ends by it, with a clock that is %d hours off", async (hours) => {
  cognito.ahead = hours * 60 * MINUTE;
  const signIn = signingIn();
  const guest = await signIn(POOL);
  expect(guest.now().getTime()).toBe(T0 + cognito.ahead);
  vi.advanceTimersByTime(54 * MINUTE);
  expect(guest.now().getTime()).toBe(cognito.now());
  expect(await keyOf(signIn(POOL))).toBe("key-1");
  vi.advanceTimersByTime(2 * MINUTE);
  expect(await keyOf(signIn(POOL))).toBe("key-2");
});

it("goes by the clock of the machine where it may not read AWS's", async () => {
  cognito.saysDate = false;
  expect((await signingIn()(POOL)).now()).toEqual(new Date(T0));
});

it("asks AWS for the time again when the clock was set, or the machine slept", async () => {
  const signIn = signingIn();
  await signIn(POOL);
  vi.setSystemTime(T0 + 10 * MINUTE);
  const guest = await signIn(POOL);
  expect([guest.credentials.accessKeyId, guest.now().getTime()]).toEqual(["key-2", T0 + 10 * MINUTE]);
});
