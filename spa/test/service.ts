/** What the shadow service sends, as text on topics; and a link that tests hold in their hands. */
import { ref } from "vue";

import type { Link, SessionEvents } from "../src/composables/useLink";
import type { Way } from "../src/config";
import type { JsonObject } from "../src/shadow";

export const T0 = 1_793_235_600_000;

export const call = (parts: JsonObject = {}): JsonObject => ({
  ...{
    id: "01JD",
    booth: "main",
    click: "SINGLE",
    at: T0,
    count: 1,
    note: "",
    end: "",
    to: "",
    tried: [],
    promised: 0,
    group: "",
  },
  ...parts,
});

export const asked = (state: string, parts: JsonObject = {}): JsonObject => ({
  ...{ state, since: T0, why: "press", call: call() },
  ...parts,
});

export interface Halves {
  version: number;
  desired?: JsonObject;
  reported?: JsonObject;
}

const topic = (thing: string, answer: string) => `$aws/things/${thing}/shadow/${answer}`;
const state = ({ desired = {}, reported = {} }: Halves) => ({ desired, reported });

export type Message = [topic: string, payload: string];

export const got = (thing: string, halves: Halves): Message => [
  topic(thing, "get/accepted"),
  JSON.stringify({ state: state(halves), version: halves.version, timestamp: T0 / 1000 }),
];
export const documents = (thing: string, halves: Halves): Message => [
  topic(thing, "update/documents"),
  JSON.stringify({
    previous: null,
    current: { state: state(halves), version: halves.version },
    timestamp: T0 / 1000,
  }),
];
export const delta = (thing: string, version: number, differing: JsonObject): Message => [
  topic(thing, "update/delta"),
  JSON.stringify({ version, timestamp: T0 / 1000, state: differing }),
];
export const rejected = (thing: string, code: number): Message => [
  topic(thing, "get/rejected"),
  JSON.stringify({ code, message: "…" }),
];

/** Somebody told of everything. */
export const told = (name: string, four: JsonObject = asked("idle"), version = 1): Halves => ({
  version,
  desired: four,
  reported: { ...four, name, role: "", seen: [], toldAt: 0, waiting: [] },
});

export const booth = (title: string, ids: string[], version = 1): Halves => ({
  version,
  reported: { title, staff: ids.map((id) => `staff-${id}`) },
});

export function fakeLink() {
  const up = ref(true);
  const asks: string[] = [];
  const listens: string[] = [];
  const hear: ((topic: string, payload: string) => void)[] = [];
  const get = (thing: string) => asks.push(thing);
  const link: Link = {
    ...{ up, get, rate: () => 100, renew: () => undefined },
    listen: (thing) => void listens.push(thing),
    onMessage: (listen) => void hear.push(listen),
  };
  return { link, up, asks, listens, say: (...message: Message) => hear.forEach((listen) => listen(...message)) };
}

/** Connections that tests answer for: the last one dialled is `on`. */
export function fakeDial() {
  const dialled: { url: string; pings: number; ended: boolean; asks: string[] }[] = [];
  const dial = ({ url }: Way, on: SessionEvents) => {
    const session = { url, pings: 0, ended: false, asks: [] as string[] };
    dialled.push(session);
    server.on = on;
    return {
      get: (thing: string) => void session.asks.push(thing),
      listen: () => undefined,
      ping: () => void (session.pings += 1),
      end: () => void (session.ended = true),
    };
  };
  const server = {
    dial,
    dialled,
    on: undefined as unknown as SessionEvents,
    say: (...[on, payload]: Message) => server.on.message(on, payload),
  };
  return server;
}
