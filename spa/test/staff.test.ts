import { describe, expect, it } from "vitest";

import { booth, isBoothId, places, wanted } from "../src/booth";
import { heard, type JsonObject, type Shadow } from "../src/shadow";
import {
  bubble,
  countsFrom,
  ending,
  look,
  passedOn,
  LOOKS,
  minutesLeft,
  person,
  role,
  together,
  type Person,
} from "../src/staff";
import { asked, booth as boothHalves, call, got, T0, told, type Halves } from "./service";

const shadowOf = (halves: Halves) => (heard(...got("staff-a", halves)) as { shadow: Shadow }).shadow;
const read = (halves: Halves, thing = "staff-a") => person(thing, shadowOf(halves));
const ended = (end: string, parts: JsonObject = {}) =>
  read(told("Alice", asked("idle", { why: end, call: call({ end, ...parts }) })));

const people = (...all: [string, Halves][]) =>
  new Map(all.map(([id, halves]): [string, Person] => [`staff-${id}`, read(halves, `staff-${id}`)]));

describe("a person", () => {
  it("is what the shadow asks of them", () => {
    const four = asked("running", { why: "ok", call: call({ note: "two minutes", count: 2 }) });
    const alice = read({ ...told("有栖 Alice"), desired: four });
    expect(alice).toMatchObject({ name: "有栖 Alice", state: "running", told: false, fresh: true });
    expect(alice.call).toMatchObject({ note: "two minutes", count: 2 });
  });

  it("is told once Slack is, whatever is still to be sent by SMS", () => {
    const halves = told("Alice", asked("calling"));
    const sending = { ...halves, desired: { ...asked("calling"), alert: "01JD/1/1" } };
    expect(read(sending)).toMatchObject({ told: true, untoldSince: 0 });
    expect(look(read(sending), "main", T0 + 60_000)).toBe("calling");
    const untold = { ...sending, desired: { ...asked("calling", { since: 5 }), alert: "01JD/1/1" } };
    expect(read(untold)).toMatchObject({ told: false, untoldSince: 5 });
  });

  it.each<[string, JsonObject]>([
    ["nothing", {}],
    ["wrong types", { state: 7, since: "x", call: [], name: {}, waiting: "no", role: null, why: [] }],
    ["an unknown state", { state: "dancing", call: { booth: {}, count: -1, at: 1e300, end: "what", to: [] } }],
    ["inherited names", { state: "constructor", call: { end: "toString" } }],
  ])("with %s in the shadow is idle", (_, reported) => {
    const nobody = read({ version: 1, reported });
    expect(nobody).toMatchObject({ name: "a", state: "idle", since: 0, waiting: [], told: true });
    expect(look(nobody, "main", T0)).toBe("idle");
    expect(ending(nobody, "main", T0)).toBe("");
  });

  it("has a name and a note that are not too long", () => {
    const four = asked("running", { call: call({ note: "n".repeat(500) }) });
    const loud = read(told("N".repeat(500), four));
    expect([loud.name.length, loud.call.note.length]).toEqual([80, 140]);
  });
});

describe("a look", () => {
  it("is the state while the call is this booth's", () => {
    for (const state of ["idle", "calling", "running", "away"] as const) {
      expect(look(read(told("Alice", asked(state))), "main", T0)).toBe(state);
    }
  });

  it("is busy elsewhere with another booth's call, and queued if ours waits", () => {
    const four = asked("running", { call: call({ booth: "other" }) });
    expect(look(read(told("Alice", four)), "main", T0)).toBe("elsewhere");
    const halves = told("Alice", four);
    const waiting = { ...halves, reported: { ...halves.reported, waiting: [call({ booth: "main" })] } };
    expect(look(read(waiting), "main", T0)).toBe("queued");
  });

  it.each(["missed", "refused", "unavailable"])("says for 30 s that nobody is left after %s", (end) => {
    expect(look(ended(end), "main", T0 + 29_000)).toBe("nobody");
    expect(look(ended(end), "main", T0 + 30_000)).toBe("idle");
    expect(look(ended(end), "other", T0)).toBe("idle");
  });

  it("says for 30 s who has it now", () => {
    expect(look(ended("missed", { to: "staff-b" }), "main", T0 + 29_000)).toBe("passed");
    expect(look(ended("missed", { to: "staff-b" }), "main", T0 + 30_000)).toBe("idle");
  });

  it("stays idle after a call that was answered, with its end beside it for 30 s", () => {
    expect(look(ended("done"), "main", T0)).toBe("idle");
    expect(ending(ended("done"), "main", T0 + 29_000)).toBe("done");
    expect(ending(ended("done"), "main", T0 + 30_000)).toBe("");
  });

  it("of somebody who is away says so if a press found nobody", () => {
    const four = asked("away", { why: "press", call: call({ end: "unavailable" }) });
    expect(look(read(told("Alice", four)), "main", T0)).toBe("nobody");
    expect(look(read(told("Alice", four)), "main", T0 + 30_000)).toBe("away");
  });

  it("does not bring up an old call when somebody comes back or goes away", () => {
    for (const [state, why] of [
      ["idle", "back"],
      ["away", "away"],
    ] as const) {
      expect(look(read(told("Alice", asked(state, { why, call: call({ end: "missed" }) }))), "main", T0)).toBe(state);
    }
  });

  describe("of somebody who is called and not told", () => {
    const untold = (reported: JsonObject = {}, four: JsonObject = asked("calling")) => {
      const halves = told("Alice", asked("idle", { since: T0 - 60_000 }));
      return read({ ...halves, desired: four, reported: { ...halves.reported, ...reported } });
    };
    const refusal = { since: T0, count: 1, at: T0 + 300, failed: "no_service" };

    it("says after 10 s that Slack is not reached", () => {
      expect(look(untold(), "main", T0 + 10_000)).toBe("calling");
      expect(look(untold(), "main", T0 + 10_001)).toBe("unreached");
      expect(look(read(told("Alice", asked("calling"))), "main", T0 + 60_000)).toBe("calling");
    });

    it("says so at once where Slack refuses the message for good", () => {
      expect(look(untold({ telling: refusal }), "main", T0 + 300)).toBe("unreached");
      expect(look(untold({ telling: { ...refusal, failed: null } }), "main", T0 + 300)).toBe("calling");
      expect(look(untold({ telling: { ...refusal, failed: 7 } }), "main", T0 + 300)).toBe("calling");
    });

    it("does not take the refusal of an older call for this one's", () => {
      expect(look(untold({ telling: { ...refusal, since: T0 - 60_000 } }), "main", T0 + 300)).toBe("calling");
      expect(look(read(told("Alice", asked("calling"))), "main", T0)).toBe("calling");
    });

    it("says so of one more press that is not told, from when that was heard of", () => {
      const halves = told("Alice", asked("calling"));
      const again = { ...halves, desired: asked("calling", { call: call({ count: 2 }) }) };
      const known = person("staff-a", { ...shadowOf(again), deltaSince: T0 + 30_000 });
      expect(look(known, "main", T0 + 40_000)).toBe("calling");
      expect(look(known, "main", T0 + 40_001)).toBe("unreached");
    });

    it("says nothing of that elsewhere, or once they are on the way", () => {
      const other = asked("calling", { call: call({ booth: "other" }) });
      expect(look(untold({ telling: refusal }, other), "main", T0 + 60_000)).toBe("elsewhere");
      expect(look(untold({ telling: refusal }, asked("running")), "main", T0 + 60_000)).toBe("running");
    });
  });

  it("has a shape and a tone of its own where it must be told apart", () => {
    const faces = Object.values(LOOKS).map(({ icon, tone }) => `${icon} ${tone}`);
    expect(new Set(faces).size).toBe(faces.length);
  });
});

it("counts the waiting from the first press, and the way from the ok", () => {
  const moved = read(told("Alice", asked("calling", { since: T0 + 60_000, call: call({ at: T0 }) })));
  expect(countsFrom(moved, "calling")).toBe(T0);
  expect(countsFrom(read(told("Alice", asked("running", { since: T0 + 5 }))), "running")).toBe(T0 + 5);
  expect(countsFrom(moved, "elsewhere")).toBe(0);
});

it("counts a promise down by the minute, and only while somebody is on the way", () => {
  const alice = read(told("Alice", asked("running", { call: call({ promised: T0 + 300_000 }) })));
  const left = (after: number) => minutesLeft(alice, "running", T0 + after);
  expect([0, 1000, 60_000, 240_000, 299_000, 300_000, 400_000].map(left)).toEqual([5, 5, 4, 1, 1, 0, 0]);
  expect(minutesLeft(alice, "elsewhere", T0)).toBe(null);
  expect(minutesLeft(read(told("Alice", asked("running"))), "running", T0)).toBe(null);
  const odd = read(told("Alice", asked("running", { call: call({ promised: "soon" }) })));
  expect(minutesLeft(odd, "running", T0)).toBe(null);
});

it("shows the note only while somebody is called or on the way", () => {
  const four = asked("running", { call: call({ note: "soon" }) });
  expect(bubble(read(told("Alice", four)), "calling")).toBe("soon");
  expect(bubble(read(told("Alice", four)), "idle")).toBe("");
  expect(bubble(read(told("Alice", four)), "running")).toBe("soon");
  expect(bubble(read(told("Alice", four)), "elsewhere")).toBe("");
});

it("leaves the role out where more important words need the room", () => {
  const halves = told("Alice", asked("running", { call: call({ note: "soon" }) }));
  const alice = read({ ...halves, reported: { ...halves.reported, role: "Sales" } });
  expect([role(alice, "idle"), role(alice, "running"), role(alice, "nobody")]).toEqual(["Sales", "", ""]);
});

describe("a booth", () => {
  const things = (listed: string[], known: Map<string, Person>, missing: string[] = []) =>
    places("main", listed, known, new Set(missing), T0).map(({ thing }) => thing);

  it("lists staff things once, whatever else stands there", () => {
    const staff = ["staff-b", 7, null, "staff-../x", "staff-+", "booth-a", "staff-b", { a: 1 }, "staff-a"] as never;
    expect(booth(shadowOf({ version: 1, reported: { title: 7, staff } }))).toEqual({
      ...{ title: "", machines: [], notice: null },
      staff: ["staff-b", "staff-a"],
    });
    expect(
      booth(
        shadowOf(
          boothHalves(
            "t",
            Array.from({ length: 300 }, (_, i) => `p${String(i)}`),
          ),
        ),
      ).staff,
    ).toHaveLength(200);
  });

  it("has an id of a certain form", () => {
    expect(["main", "a", "2f-west_3"].filter(isBoothId)).toHaveLength(3);
    expect(["", "A", "-a", "a/b", "+", "x".repeat(25), "受付"].filter(isBoothId)).toEqual([]);
  });

  it("shows its staff in order, keeps places for who is not known yet, and none for who does not exist", () => {
    const known = people(["b", told("B")]);
    expect(things(["staff-a", "staff-b"], known)).toEqual(["staff-a", "staff-b"]);
    expect(things(["staff-a", "staff-b"], known, ["staff-a"])).toEqual(["staff-b"]);
  });

  it("shows others only while they have its call", () => {
    const one = (four: JsonObject) => things([], people(["g", told("G", four)]));
    expect(one(asked("calling"))).toEqual(["staff-g"]);
    expect(one(asked("calling", { call: call({ booth: "other" }) }))).toEqual([]);
    expect(one(asked("idle", { why: "done", call: call({ end: "done" }) }))).toEqual([]);
    expect(one(asked("idle", { why: "missed", call: call({ end: "missed" }) }))).toEqual(["staff-g"]);
  });

  it("needs to know whom its calls went to", () => {
    const passed = asked("idle", { why: "missed", call: call({ end: "missed", to: "staff-z" }) });
    const known = people(["a", told("A", passed)], ["x", told("X", asked("idle", { call: call({ booth: "other" }) }))]);
    expect([...wanted("main", ["staff-a"], known.values())]).toEqual(["staff-a", "staff-z"]);
  });

  it("needs to know who was called along with its own", () => {
    const caller = asked("calling", { call: call({ group: "all:a,b,c", tried: ["staff-c"] }) });
    const known = people(["a", told("A", caller)]);
    expect([...wanted("main", [], known.values())]).toEqual(["staff-a", "staff-b"]);
  });
});

describe("a call that was passed on", () => {
  const gave = (to: string) => asked("idle", { why: "no", call: call({ end: "refused", to }) });
  const free = asked("idle", { why: "done", call: call({ end: "done" }) });
  const lookOf = (known: ReadonlyMap<string, Person>, thing: string) => {
    const one = passedOn(known).get(`staff-${thing}`) as Person;
    return [look(one, "main", T0 + 1000), one.call.to];
  };

  it.each(["calling", "running"])("is with who is %s for it", (state) => {
    const known = people(["a", told("A", gave("staff-b"))], ["b", told("B", asked(state))]);
    expect(lookOf(known, "a")).toEqual(["passed", "staff-b"]);
  });

  it("is with nobody any more once it is over", () => {
    const known = people(["a", told("A", gave("staff-b"))], ["b", told("B", free)]);
    expect(lookOf(known, "a")).toEqual(["idle", ""]);
    expect(ending(passedOn(known).get("staff-a") as Person, "main", T0 + 1000)).toBe("");
  });

  it("is with the last of those to whom it went", () => {
    const known = people(
      ["a", told("A", gave("staff-b"))],
      ["b", told("B", gave("staff-c"))],
      ["c", told("C", asked("running"))],
    );
    expect([lookOf(known, "a"), lookOf(known, "b")]).toEqual([
      ["passed", "staff-c"],
      ["passed", "staff-c"],
    ]);
  });

  it("waits with who is busy elsewhere, and went to whom this screen does not know yet", () => {
    const busy = told("B", asked("running", { call: call({ id: "other", booth: "other" }) }));
    const waiting = { ...busy, reported: { ...busy.reported, waiting: [call()] } };
    expect(lookOf(people(["a", told("A", gave("staff-b"))], ["b", waiting]), "a")).toEqual(["passed", "staff-b"]);
    expect(lookOf(people(["a", told("A", gave("staff-z"))]), "a")).toEqual(["passed", "staff-z"]);
  });

  it("is said by one of them, if nobody is left", () => {
    const last = asked("idle", { why: "missed", call: call({ end: "missed" }) });
    const known = people(["a", told("A", gave("staff-b"))], ["b", told("B", last)]);
    expect([lookOf(known, "a")[0], lookOf(known, "b")[0]]).toEqual(["idle", "nobody"]);
  });
});

describe("several who are called at once", () => {
  const group = (state: string, parts: JsonObject = {}) =>
    people(
      ["a", told("A", asked(state, { call: call({ group: "all:a,b,c", count: 2, ...parts }) }))],
      ["b", told("B")],
      ["c", told("C", asked("running", { call: call({ booth: "other" }) }))],
      ["d", told("D")],
    );
  const states = (known: ReadonlyMap<string, Person>) => [...together(known).values()].map(({ state }) => state);

  it("are all shown as called, but who has a call of their own", () => {
    const shown = together(group("calling", { note: "no problem" }));
    expect(states(group("calling"))).toEqual(["calling", "calling", "running", "idle"]);
    const b = shown.get("staff-b") as Person;
    expect([b.name, b.call.count, look(b, "main", T0)]).toEqual(["B", 2, "calling"]);
    expect([shown.get("staff-a")?.call.note, b.call.note]).toEqual(["no problem", ""]); // A's words, and not B's
    expect(shown.get("staff-c")?.call.booth).toBe("other");
  });

  it("are as their own shadows say once somebody goes, or where one is called after the other", () => {
    expect(states(group("running"))).toEqual(["running", "idle", "running", "idle"]);
    expect(states(group("calling", { group: "turn:a,b,c" }))).toEqual(["calling", "idle", "running", "idle"]);
    expect(states(group("calling", { tried: ["staff-b"] }))).toEqual(["calling", "idle", "running", "idle"]);
    expect(states(group("calling", { group: "all:" }))).toEqual(["calling", "idle", "running", "idle"]);
  });
});
