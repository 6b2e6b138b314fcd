/**
 * What the shadow service says, read at the edge, and what a screen may believe of it. Pure.
 *
 * Source: AWS IoT Core developer guide, device shadow MQTT topics and document syntax.
 */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/** A shadow as far as this screen knows it. `delta` is null while nothing differs. */
export interface Shadow {
  readonly version: number;
  readonly reported: JsonObject;
  readonly delta: JsonObject | null;
  /** Since when this screen knows of a delta, by the server's clock in milliseconds; 0 while there is none. */
  readonly deltaSince: number;
  /** When what it reported came, by the server's clock in milliseconds; 0 where nobody needs to know: only of a machine. */
  readonly saidAt: number;
  /** False from a reconnect until the service has answered again: shown, but greyed. */
  readonly fresh: boolean;
}

/** One message. `at` is the server's clock in whole seconds, 0 if it did not say. */
export type Heard =
  | { kind: "document"; thing: string; at: number; shadow: Shadow }
  | { kind: "delta"; thing: string; at: number; version: number; delta: JsonObject }
  | { kind: "refused"; thing: string; at: number; code: number };

const PREFIX = "$aws/things/";
const ANSWERS = ["get/accepted", "get/rejected", "update/delta", "update/documents"] as const;

/** What a screen listens to: one SUBSCRIBE, of which AWS allows eight filters. */
export const FILTERS = ANSWERS.map((answer) => `${PREFIX}+/shadow/${answer}`);

/** A machine's shadow has a name: what it says every second comes only to the screens that ask for it. */
const MACHINE = /^machine-/;
const shadowOf = (thing: string) => `${PREFIX}${thing}/shadow${MACHINE.test(thing) ? "/name/data" : ""}`;

export const getTopic = (thing: string) => `${shadowOf(thing)}/get`;

/** What a screen listens to besides, for a machine. */
export const machineFilters = (thing: string) =>
  ["get/accepted", "get/rejected", "update/documents"].map((answer) => `${shadowOf(thing)}/${answer}`);

/** Read one message; null for whatever is none of ours. Never throws: a shadow is anybody's text. */
export function heard(topic: string, payload: string): Heard | null {
  const [, thing, named, answer] = /^\$aws\/things\/([^/]+)\/shadow\/(name\/data\/)?(.+)$/.exec(topic) ?? [];
  const body = parsed(payload);
  if (thing === undefined || answer === undefined || body === null) return null;
  if (MACHINE.test(thing) !== (named !== undefined)) return null;
  const at = whole(body["timestamp"]);
  switch (answer) {
    case "get/accepted":
      return documented(thing, at, body);
    case "update/documents":
      return documented(thing, at, object(body["current"]));
    case "update/delta":
      return { kind: "delta", thing, at, version: whole(body["version"]), delta: object(body["state"]) };
    case "get/rejected":
      return { kind: "refused", thing, at, code: whole(body["code"]) };
    default:
      return null;
  }
}

/**
 * What is known after a document or a delta. A late message never wins, and a delta never stands alone:
 * it says only what differs from the `reported` of its own version.
 */
export function settled(known: Shadow | undefined, news: Exclude<Heard, { kind: "refused" }>): Shadow | undefined {
  if (news.kind === "document") {
    return known && known.version > news.shadow.version ? known : dated(news.shadow, known, news.at);
  }
  if (!known || known.version >= news.version) return known;
  return dated({ ...known, version: news.version, delta: news.delta }, known, news.at);
}

const dated = (shadow: Shadow, known: Shadow | undefined, at: number): Shadow => ({
  ...shadow,
  deltaSince: shadow.delta === null ? 0 : known?.deltaSince || at * 1000,
});

/** The same shadow after the link broke: whatever comes next is newer. */
export const forgotten = (known: Shadow): Shadow => ({ ...known, version: -1, fresh: false });

/** What a screen shows. */
export const shown = (shadow: Shadow): JsonObject =>
  shadow.delta === null ? shadow.reported : (merged(shadow.reported, shadow.delta) as JsonObject);

/** `patch` over `base`: objects key by key, anything else as a whole. */
export function merged(base: Json, patch: Json, depth = 0): Json {
  if (!isObject(base) || !isObject(patch) || depth >= DEEPEST) return patch;
  // fromEntries defines keys and assigns none: a key "__proto__" stays a key
  return Object.fromEntries([
    ...Object.entries(base),
    ...Object.entries(patch).map(([key, value]): [string, Json] => [
      key,
      Object.hasOwn(base, key) ? merged(base[key] as Json, value, depth + 1) : value,
    ]),
  ]);
}

/** What of `desired` is not `reported`; undefined if all is. */
export function differing(desired: Json, reported: Json | undefined, depth = 0): Json | undefined {
  if (!isObject(desired) || !isObject(reported) || depth >= DEEPEST) {
    return same(desired, reported) ? undefined : desired;
  }
  const parts = Object.entries(desired)
    .map(([key, value]) => [key, differing(value, own(reported, key), depth + 1)] as const)
    .filter((part): part is readonly [string, Json] => part[1] !== undefined);
  return parts.length ? Object.fromEntries(parts) : undefined;
}

const DEEPEST = 8; // levels that AWS allows in a shadow; also keeps hostile nesting off our stack

function documented(thing: string, at: number, raw: JsonObject): Heard | null {
  const version = whole(raw["version"]);
  if (version === 0) return null; // versions start at 1
  const state = object(raw["state"]);
  const reported = object(state["reported"]);
  // update/documents carries no delta, and a get need not: it follows from the two halves
  const metadata = object(raw["metadata"]);
  const delta = differing(object(state["desired"]), reported) as JsonObject | undefined;
  return {
    kind: "document",
    thing,
    at,
    shadow: {
      version,
      reported,
      delta: delta ?? null,
      deltaSince: 0,
      saidAt: MACHINE.test(thing) ? newest(metadata["reported"]) : 0,
      fresh: true,
    },
  };
}

/** The newest time in a shadow's metadata, in milliseconds. */
function newest(metadata: Json | undefined, depth = 0): number {
  if (!isTree(metadata) || depth > DEEPEST) return 0;
  return Object.entries(metadata).reduce(
    (at, [key, value]) => Math.max(at, key === "timestamp" ? whole(value) * 1000 : newest(value, depth + 1)),
    0,
  );
}

function parsed(payload: string): JsonObject | null {
  try {
    const value = JSON.parse(payload) as Json;
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function same(left: Json, right: Json | undefined, depth = 0): boolean {
  if (!isTree(left) || !isTree(right)) return left === right;
  if (Array.isArray(left) !== Array.isArray(right) || depth >= DEEPEST) return false;
  const [ours, theirs] = [new Map(Object.entries(left)), new Map(Object.entries(right))];
  return ours.size === theirs.size && [...ours].every(([key, value]) => same(value, theirs.get(key), depth + 1));
}

const isTree = (value: Json | undefined): value is JsonObject | Json[] => typeof value === "object" && value !== null;

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const own = (from: JsonObject, key: string) => (Object.hasOwn(from, key) ? from[key] : undefined);

/** An object, or the empty one: what readers of a shadow use for each part they look into. */
export const object = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});

/** A whole number from 0 up, or 0. */
export const whole = (value: Json | undefined): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;

/** A list, or the empty one. */
export const list = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);

/** Text on one line for people to read: no control characters, no reversed writing, at most `longest` characters. */
export function text(value: Json | undefined, longest: number): string {
  if (typeof value !== "string") return "";
  const plain = value.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, " ");
  return [...plain.trim()].slice(0, longest).join("");
}
