import { describe, expect, it } from "vitest";

import { boothOptions, filled, staffOptions } from "../src/admin/forms";
import { calledBy, entries, isNews, keyOf, moved, nameIn, ONLY, slackField, suggestedId } from "../src/admin/roster";
import type { Attempt, Now, Transition } from "../src/admin/roster";
import { ADMIN_WORDS, type AdminWords } from "../src/admin/words";

const row = (n: number, at: number, end = "") => ({ n, at, thing: "staff-hana", name: "花", end }) as Transition;
const attempt = (n: number, at: number, outcome: string, kind = "press") =>
  ({ n, at, thing: "staff-hana", outcome, kind }) as Attempt;

it.each([
  [0, 2, "bca"],
  [2, 0, "cab"],
  [1, 1, "abc"],
  [0, 1, "bac"],
])("moves what is at %i to %i", (from, to, after) => {
  expect(moved([..."abc"], from, to).join("")).toBe(after);
});

it.each([
  ["花 Hana", "", "hana"],
  ["José Núñez", "", "jose-nunez"],
  ["花", "Hana.Sato@example.com", "hana-sato"],
  ["花", "U0HANA", "staff"],
  ["Sora", "", "sora-2"],
  ["An extraordinarily long name of somebody", "", "an-extraordinarily-long-"],
])("suggests for %s (%s) the id %s", (name, slack, id) => {
  expect(suggestedId(name, slack, new Set(["sora"]))).toBe(id);
});

it("suggests an id that the server takes, also when long ones are taken", () => {
  const taken = new Set<string>();
  for (let n = 0; n < 30; n += 1) {
    const id = suggestedId("Wolfeschlegelsteinhausenbergerdorff", "", taken);
    expect(id).toMatch(/^[a-z0-9][a-z0-9_-]{0,23}$/);
    expect(taken.has(id)).toBe(false);
    taken.add(id);
  }
});

it("takes what has an @ for an address", () => {
  expect(slackField("hana@example.com")).toEqual({ email: "hana@example.com" });
  expect(slackField("U0HANA")).toEqual({ slack: "U0HANA" });
});

describe("what happened", () => {
  const all = entries([row(1, 5), row(2, 9, "missed")], [attempt(1, 5, "told"), attempt(2, 6, "failed")]);

  it("is in the order of time, and a call comes before its message", () => {
    expect(all.map(keyOf)).toEqual(["call 1", "message 1", "message 2", "call 2"]);
  });

  it("is told apart by kind", () => {
    expect(all.filter((each) => ONLY["failures"]?.(each)).map(keyOf)).toEqual(["message 2", "call 2"]);
    expect(all.filter((each) => ONLY["messages"]?.(each))).toHaveLength(2);
    expect(all.filter((each) => ONLY["calls"]?.(each))).toHaveLength(2);
    expect(Object.keys(ONLY)).toEqual(Object.keys(ADMIN_WORDS.en.only));
  });

  it("is no news if nothing had to be said", () => {
    expect(entries([], [attempt(1, 1, "reported"), attempt(2, 2, "claimed")]).filter(isNews)).toEqual([]);
    expect(all.every(isNews)).toBe(true);
  });

  it("says by which way an alert went", () => {
    const ways = entries([], [attempt(1, 1, "told", "alert sms"), attempt(2, 2, "told")]);
    expect(ways.map((each) => each.kind === "message" && each.way)).toEqual(["sms", ""]);
  });

  it("names people as they were called then", () => {
    const now = { staff: [{ id: "hana", name: "Hana" }] } as unknown as Now;
    expect(all.map((each) => nameIn(each, now))).toEqual(["花", "Hana", "Hana", "花"]);
    expect(nameIn({ ...row(1, 1), name: "", thing: "staff-gone", kind: "call" }, now)).toBe("gone");
  });
});

it("offers everybody else, and the booth that is made with the first person", () => {
  const now = {
    staff: [{ id: "hana", name: "花" }, { id: "x" }],
    booths: [{ id: "east", title: "東" }],
  } as unknown as Now;
  expect(staffOptions(now, "–", "hana").map(({ label }) => label)).toEqual(["–", "x"]);
  expect(boothOptions(now, ADMIN_WORDS.en).map(({ value }) => value)).toEqual(["main", "east"]);
  expect(filled({ id: "a", role: " ", name: "" })).toEqual({ id: "a" });
});

/** Every text of a table, with samples for what is named in it. */
function said(words: AdminWords): string[] {
  const texts = (value: unknown): string[] => {
    if (typeof value === "string") return [value];
    if (typeof value === "function") return [String((value as (...samples: unknown[]) => string)(3, 5, 7))];
    return Object.values(value as object).flatMap(texts);
  };
  return texts(words);
}

it.each(["en", "ja"] as const)("in %s every word is there", (language) => {
  expect(said(ADMIN_WORDS[language]).filter((text) => text.trim() === "" || text.includes("undefined"))).toEqual([]);
});

it("no language is a copy of another", () => {
  const same = said(ADMIN_WORDS.ja).filter((text) => said(ADMIN_WORDS.en).includes(text));
  expect(same).toEqual(["Slack", "3: 5"]);
});

it("says whom a button calls: a person, who is on duty, several, or what it starts", () => {
  const staff = [
    { id: "hana", name: "花" },
    { id: "sora", name: "Sora" },
  ] as unknown as Now["staff"];
  const say = (reference: string) => calledBy({ staff }, reference, "On duty", { "all:": "All", "turn:": "In turn" });
  expect(["hana", "gone", "@duty", "all:sora,hana", "turn:hana,gone"].map(say)).toEqual([
    ...["花", "gone", "On duty", "All (Sora, 花)", "In turn (花, gone)"],
  ]);
  expect(say("lambda:backup")).toBe("lambda:backup");
});
