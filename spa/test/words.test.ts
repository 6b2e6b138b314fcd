import { describe, expect, it } from "vitest";

import { language, LANGUAGES, type Words } from "../src/words";

const said = (words: Words) => [
  ...Object.values(words.look),
  ...Object.values(words.short),
  ...Object.entries(words.ending).map(([end, text]) => (end === "" ? "nothing" : text)),
  ...[words.live, words.lost("12:00"), words.connecting, words.noBooth("main"), words.noBoothHow],
  ...[words.noStaff, words.noStaffHow, words.passedTo("X"), words.presses(2), words.said("X", "Y")],
  ...[words.arrives(5), words.arrives(0)],
];

describe.each(Object.entries(LANGUAGES))("in %s", (_, words) => {
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
  });
});

it("no language is a copy of another", () => {
  expect(said(LANGUAGES.ja).filter((text) => said(LANGUAGES.en).includes(text))).toEqual(["nothing"]);
});

it.each([
  ["en", ["ja"], "en"],
  ["EN-gb", [], "en"],
  [null, ["en-US", "ja"], "en"],
  [null, ["fr", "ja-JP", "en"], "ja"],
  [null, ["fr"], "ja"],
  ["tlh", ["en"], "en"],
  ["constructor", [], "ja"],
] as const)("asked for %s by a browser of %j: %s", (asked, browser, expected) => {
  expect(language(asked, browser)).toBe(expected);
});
