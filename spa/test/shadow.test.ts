import { describe, expect, it } from "vitest";

import {
  differing,
  FILTERS,
  forgotten,
  heard,
  merged,
  settled,
  shown,
  text,
  type Heard,
  type Shadow,
} from "../src/shadow";
import { asked, delta, documents, got, rejected, told, type Message } from "./service";

type News = Exclude<Heard, { kind: "refused" }>;
const news = (message: Message) => heard(...message) as News;
const after = (...messages: Message[]) =>
  messages.reduce<Shadow | undefined>((known, message) => settled(known, news(message)), undefined) as Shadow;

describe("the algebra", () => {
  const pairs = [
    [
      { a: 1, b: { c: 2, d: 3 } },
      { a: 1, b: { c: 9, d: 3 } },
    ],
    [{ a: [1, 2] }, { a: [2, 1] }],
    [{ a: true }, { a: 1 }],
    [{ a: {} }, {}],
    [{ a: "1" }, { a: 1, other: 2 }],
    [{ a: { b: 1 } }, { a: "text" }],
    [{ a: [{ b: 1, c: 2 }] }, { a: [{ c: 2, b: 1 }] }],
  ] as const;

  it.each(pairs)("merges %j's difference over %j as if it were all of desired", (desired, reported) => {
    const part = differing(desired as never, reported as never);
    expect(merged(reported as never, part ?? {})).toEqual(merged(reported as never, desired as never));
  });

  it("finds what differs and nothing else", () => {
    expect(differing({ a: 1, b: { c: 2, d: 3 } }, { a: 1, b: { c: 9, d: 3 }, only: 1 })).toEqual({ b: { c: 2 } });
    expect(differing({ a: 1, b: { c: [1] } }, { a: 1, b: { c: [1] } })).toBeUndefined();
    expect(differing({ a: true }, { a: 1 })).toEqual({ a: true });
    expect(differing({ a: [{ b: 1, c: 2 }] }, { a: [{ c: 2, b: 1 }] })).toBeUndefined();
  });

  it("keeps __proto__ a key", () => {
    const hostile = JSON.parse('{"__proto__": {"state": "calling"}}');
    expect((merged({}, hostile) as { state?: string }).state).toBeUndefined();
    expect(({} as { state?: string }).state).toBeUndefined();
  });
});

describe("what is heard", () => {
  it("is asked for with filters of four kinds of answers", () => {
    expect(FILTERS).toHaveLength(4);
    expect(FILTERS).toContain("$aws/things/+/shadow/update/documents");
  });

  it("names the thing by its topic", () => {
    expect(heard(...got("staff-alice", told("Alice")))).toMatchObject({ kind: "document", thing: "staff-alice" });
    expect(heard(...rejected("staff-alice", 404))).toMatchObject({ kind: "refused", thing: "staff-alice", code: 404 });
  });

  it.each([
    ["$aws/things/staff-a/shadow/get/accepted", "{"],
    ["$aws/things/staff-a/shadow/get/accepted", "null"],
    ["$aws/things/staff-a/shadow/get/accepted", "[]"],
    ["$aws/things/staff-a/shadow/get/accepted", '{"state": {}}'],
    ["$aws/things/staff-a/shadow/get/accepted", '{"state": {}, "version": "7"}'],
    ["$aws/things/staff-a/shadow/update/documents", '{"current": 7}'],
    ["$aws/things/staff-a/shadow/update/accepted", '{"version": 7}'],
    ["$aws/things/staff-a/shadow/name/other/get/accepted", '{"version": 7}'],
    ["something/else", "{}"],
  ])("%s with %s says nothing", (topic, payload) => {
    expect(heard(topic, payload)).toBeNull();
  });

  it("survives nesting that would break a stack", () => {
    const deep = '{"a":'.repeat(50_000) + "1" + "}".repeat(50_000);
    const body = `{"version": 1, "state": {"desired": ${deep}, "reported": ${deep}}}`;
    const shadow = (heard("$aws/things/staff-a/shadow/get/accepted", body) as News & { shadow: Shadow }).shadow;
    expect(Object.keys(shown(shadow))).toEqual(["a"]);
  });
});

describe("what is believed", () => {
  const idle = told("Alice", asked("idle"), 5);
  const calling = { ...idle, version: 6, desired: asked("calling") };

  it("is the document, with the delta that its halves make", () => {
    expect(after(got("staff-a", idle)).delta).toBeNull();
    expect(after(got("staff-a", calling)).delta).toEqual({ state: "calling" });
    expect(shown(after(got("staff-a", calling)))).toMatchObject({ state: "calling", name: "Alice" });
  });

  it("is a delta only if it is newer", () => {
    const known = got("staff-a", idle);
    expect(shown(after(known, delta("staff-a", 6, { state: "calling" })))).toMatchObject({ state: "calling" });
    expect(shown(after(known, delta("staff-a", 5, { state: "calling" })))).toMatchObject({ state: "idle" });
  });

  it("is a document of the same version too, but no older one", () => {
    const early = delta("staff-a", 6, { state: "calling" });
    const renamed = { ...calling, reported: { ...calling.reported, name: "Alicia" } };
    expect(shown(after(got("staff-a", idle), early, documents("staff-a", renamed)))).toMatchObject({ name: "Alicia" });
    expect(shown(after(documents("staff-a", calling), got("staff-a", idle)))).toMatchObject({ state: "calling" });
  });

  it("never piles a delta on what an older delta showed", () => {
    const first = delta("staff-a", 6, { state: "calling", call: { note: "old" } });
    const shadow = after(got("staff-a", idle), first, delta("staff-a", 7, { state: "running" }));
    expect(shown(shadow)).toMatchObject({ state: "running", call: { note: "" } });
  });

  it("has a delta since it was first heard of, until there is none", () => {
    const late = (message: Message, at: number): Message => [
      message[0],
      JSON.stringify({ ...(JSON.parse(message[1]) as object), timestamp: at }),
    ];
    const known = after(got("staff-a", idle), late(delta("staff-a", 6, { state: "calling" }), 100));
    expect(known.deltaSince).toBe(100_000);
    const again = settled(known, news(late(documents("staff-a", { ...calling, version: 7 }), 105)));
    expect(again?.deltaSince).toBe(100_000);
    expect(settled(again, news(got("staff-a", { ...idle, version: 8 })))?.deltaSince).toBe(0);
    expect(settled(forgotten(known), news(late(got("staff-a", calling), 200)))?.deltaSince).toBe(100_000);
  });

  it("is no delta alone", () => {
    expect(after(delta("staff-a", 6, { state: "calling" }))).toBeUndefined();
  });

  it("is anything at all once the link broke", () => {
    const known = forgotten(after(got("staff-a", idle)));
    expect(known.fresh).toBe(false);
    expect(settled(known, news(got("staff-a", told("New", asked("idle"), 1))))).toMatchObject({
      version: 1,
      fresh: true,
    });
  });
});

it("takes control characters and reversed writing out of text, and cuts it by letters", () => {
  expect(text(" a\u0000b\u202ec\n", 80)).toBe("a b c");
  expect(text("👩‍🚀😀😀", 4)).toBe("👩‍🚀😀");
  expect(text({ a: 1 }, 80)).toBe("");
});
