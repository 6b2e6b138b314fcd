import { readFileSync } from "node:fs";

import { expect, it } from "vitest";

const css = readFileSync("src/style.css", "utf8");

const [light = "", dark = ""] = css.split(':root[data-theme="dark"]');
const themes = { light, dark: dark.slice(0, dark.indexOf("color-scheme: dark")) };

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5]
    .map((from) => parseInt(hex.slice(from, from + 2), 16) / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string): number {
  const [dim = 0, bright = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dim + 0.05);
}

const pairs = ["page ink", "page quiet", "calm calm-ink", "calm quiet", "urgent urgent-ink", "good good-ink"]
  .concat("muted muted-ink", "busy busy-ink", "alert alert-ink", "bubble bubble-ink")
  .flatMap((pair) =>
    Object.keys(themes).map((theme) => [theme, ...pair.split(" ")] as [keyof typeof themes, string, string]),
  );

it.each(pairs)("in the %s theme %s and %s have a contrast of 7 to 1", (theme, ground, ink) => {
  const colour = (name: string) => new RegExp(`--${name}: (#[0-9a-f]{6});`).exec(themes[theme])?.[1] ?? "missing";
  expect(contrast(colour(ground), colour(ink))).toBeGreaterThanOrEqual(7);
});

const admin = readFileSync("../infra/local/pages/admin.css", "utf8");
const [adminLight = "", adminDark = ""] = admin.split("@media (prefers-color-scheme: dark)");

const adminPairs = [
  "paper ink",
  "ground ink",
  "paper soft",
  "ground soft",
  "paper ours",
  "ground ours",
  "ours ours-ink",
]
  .concat("paper wrong", "ground wrong", "wrong-paper wrong", "calling calling-ink", "running running-ink")
  .concat("away away-ink")
  .flatMap((pair) => [adminLight, adminDark].map((theme) => [...pair.split(" "), theme] as [string, string, string]));

it.each(adminPairs)("on the admin's page %s and %s have a contrast of 4.5 to 1", (ground, ink, theme) => {
  const colour = (name: string) => new RegExp(`--${name}: (#[0-9a-f]{6});`).exec(theme)?.[1] ?? "missing";
  expect(contrast(colour(ground), colour(ink))).toBeGreaterThanOrEqual(4.5);
});
