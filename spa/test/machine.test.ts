import { describe, expect, it } from "vitest";
import { effectScope } from "vue";

import { useShadows } from "../src/composables/useShadows";
import { figures, machines, staleFor } from "../src/machine";
import { heard, settled, type JsonObject, type Shadow } from "../src/shadow";
import { booth, fakeLink, got, T0, told, type Message } from "./service";

const PRESS = { thing: "machine-press1", name: "Press 1", every: 1, units: { temp: "°C", count: "" } };
const topic = (answer: string, thing = "machine-press1") => `$aws/things/${thing}/shadow/name/data/${answer}`;
const said = (reported: JsonObject, version = 1, at = T0 / 1000, answer = "get/accepted"): Message => {
  const metadata = { reported: Object.fromEntries(Object.keys(reported).map((key) => [key, { timestamp: at }])) };
  const document = { state: { reported }, metadata, version };
  return [
    topic(answer),
    JSON.stringify(
      answer === "get/accepted" ? { ...document, timestamp: at + 60 } : { current: document, timestamp: at },
    ),
  ];
};
const shadowOf = (...message: Message): Shadow => {
  const news = heard(...message);
  if (news?.kind !== "document") throw new Error("no document");
  return settled(undefined, news) as Shadow;
};
const inBooth = (listed: unknown) =>
  shadowOf(...got("booth-main", { version: 1, reported: { machines: listed as JsonObject } }));

describe("a machine's tile", () => {
  const [machine] = machines(inBooth([PRESS]));
  if (!machine) throw new Error("no machine");

  it("shows the figures that were chosen, in their order, with units", () => {
    const shadow = shadowOf(...said({ count: 1234567, other: 1, temp: 21.5 }));
    expect(figures(machine, shadow, "en")).toEqual([
      { name: "temp", value: "21.5 °C" },
      { name: "count", value: "1,234,570" },
    ]);
    expect(figures({ ...machine, units: new Map() }, shadow, "de")[0]).toEqual({ name: "count", value: "1.234.570" });
    expect(figures(machine, undefined, "en")).toEqual([]);
    const wild = shadowOf(...said({ temp: { deep: 1 }, count: ["a"] }));
    expect(figures(machine, wild, "en")).toEqual([]);
  });

  it("counts its age from when it spoke, not from when we asked", () => {
    const shadow = shadowOf(...said({ temp: 1 }));
    expect(shadow.saidAt).toBe(T0);
    expect(staleFor(machine, shadow, T0 + 5000)).toBeNull();
    expect(staleFor(machine, shadow, T0 + 6000)).toBe(6000);
    expect(staleFor({ ...machine, every: 60 }, shadow, T0 + 150_000)).toBeNull();
    expect(staleFor(machine, undefined, T0)).toBe(T0);
  });

  it("is read from the booth, where nonsense is no machine, and eight are the most", () => {
    expect(machines(inBooth("x"))).toEqual([]);
    expect(machines(inBooth([null, 7, { thing: "staff-hana" }, PRESS, PRESS])).map(({ thing }) => thing)).toEqual([
      "machine-press1",
    ]);
    const many = Array.from({ length: 12 }, (_, n) => ({ ...PRESS, thing: `machine-${String(n)}` }));
    expect(machines(inBooth(many)).length).toBe(8);
  });
});

describe("a screen", () => {
  function screen() {
    const fake = fakeLink();
    const scope = effectScope();
    const all = scope.run(() => useShadows(fake.link, "main"));
    if (!all) throw new Error("no scope");
    const main = booth("Main", ["a"]);
    fake.say(...got("booth-main", { ...main, reported: { ...main.reported, machines: [PRESS] } }));
    return { ...fake, ...all, scope };
  }

  it("listens to the machines of its booth, and to no other", () => {
    const { say, listens, said: figures, scope } = screen();
    expect(listens).toEqual(["machine-press1"]);
    say(...said({ temp: 1 }));
    say(...said({ temp: 2 }, 2, T0 / 1000, "update/documents"));
    say(topic("update/documents", "machine-other"), said({ temp: 3 }, 9, T0 / 1000, "update/documents")[1]);
    say("$aws/things/machine-press1/shadow/update/documents", said({ temp: 4 }, 9, T0 / 1000, "update/documents")[1]);
    expect([...figures].map(([thing, { reported }]) => [thing, reported["temp"]])).toEqual([["machine-press1", 2]]);
    scope.stop();
  });

  it("waits with no call for a machine that does not answer", () => {
    const { say, live, asks, scope } = screen();
    expect(live.value).toBe(false);
    say(...got("staff-a", told("A")));
    expect(live.value).toBe(true);
    say(topic("get/rejected"), JSON.stringify({ code: 404 }));
    expect(asks).not.toContain("machine-other");
    scope.stop();
  });

  it("takes no named shadow of a person for theirs", () => {
    const [, document] = got("staff-a", told("Mallory"));
    expect(heard(topic("get/accepted", "staff-a"), document)).toBeNull();
  });
});
