import { describe, expect, it } from "vitest";

import { isReviewed, languages, LANGUAGES, wordsOf, type Words } from "../src/words";

const tables = await Promise.all(LANGUAGES.map(async (tag) => [tag, await wordsOf(tag)] as const));

const said = (words: Words) => [
  ...Object.values(words.look),
  ...Object.values(words.short),
  ...Object.entries(words.ending).map(([end, text]) => (end === "" ? "nothing" : text)),
  ...[words.live, words.lost("12:00"), words.connecting, words.noBooth("main"), words.noBoothHow],
  ...[words.noStaff, words.noStaffHow, words.passedTo("X"), words.presses(2), words.said("X", "Y")],
  ...[words.arrives(5), words.arrives(0), words.call("X"), words.cancel, words.notSent, words.pairing, words.wrongCode],
];

describe.each(tables)("in %s", (_, words) => {
  it("every word is there", () => {
    expect(said(words).filter((text) => text.trim() === "")).toEqual([]);
  });

  it("looks are told apart by words", () => {
    expect(new Set(Object.values(words.look)).size).toBe(Object.keys(words.look).length);
  });

  it("sentences name what they are about", () => {
    expect(words.noBooth("annex")).toContain("annex");
    expect(words.passedTo("Bob")).toContain("Bob");
    expect(words.lost("12:34")).toContain("12:34");
    expect(words.arrives(12)).toContain("12");
    expect(words.arrives(0)).not.toContain("0");
    expect(words.call("Bob")).toContain("Bob");
    expect(words.presses(7)).toContain("7");
  });
});

it.each(tables)("%s is no copy of another language", (tag, words) => {
  const others = tables.filter(([other]) => other !== tag).map(([, other]) => Object.values(other.look));
  for (const other of others) {
    const both = Object.values(words.look).filter((text) => (other as string[]).includes(text));
    expect(both.length).toBeLessThan(4); // Chinese has a few words in common with itself
  }
});

it("has fourteen languages, of which two were read through", () => {
  expect(LANGUAGES.length).toBe(14);
  expect(LANGUAGES.filter(isReviewed)).toEqual(["ja", "en"]);
});

it.each([
  [null, ["ja", "en"]],
  ["", ["ja", "en"]],
  ["en", ["en"]],
  ["EN-gb", ["en"]],
  ["de-AT, ja", ["de", "ja"]],
  ["en,en-US", ["en"]],
  ["ko,ja,en", ["ko", "ja"]],
  ["zh-TW,zh-CN", ["zh-Hant", "zh"]],
  ["zh-hant", ["zh-Hant"]],
  ["tlh", ["ja", "en"]],
  ["constructor,fr", ["fr"]],
] as const)("asked for %s it speaks %j", (asked, expected) => {
  expect(languages(asked)).toEqual(expected);
});
