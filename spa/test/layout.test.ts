// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";

import { common, face, fitted, grid, measuring, nameSize, roughly } from "../src/layout";

const WALLS = [
  [1920, 980],
  [1080, 1800],
] as const;

describe.each(WALLS)("a wall of %i by %i", (width, height) => {
  it.each([0, 1, 2, 3, 4, 7, 12, 60, 200])("holds %i tiles without scrolling", (count) => {
    const { columns, gap, scrolls, ...tile } = grid(count, width, height);
    const rows = Math.ceil(Math.max(1, count) / columns);
    expect(scrolls).toBe(false);
    expect(tile.width * columns + gap * (columns - 1)).toBeLessThanOrEqual(width + 0.01);
    expect(tile.height * rows + gap * (rows - 1)).toBeLessThanOrEqual(height + 0.01);
  });

  it("shows a name of up to four people in letters of at least 6 % of its height", () => {
    for (const count of [1, 2, 3, 4]) {
      const tile = grid(count, width, height);
      const letters = nameSize("有栖 Alice", face(tile.width, tile.height), roughly, true);
      expect(letters).toBeGreaterThanOrEqual(0.06 * 1080);
    }
  });
});

it("three people fill a wall without a hole", () => {
  expect(grid(3, 1920, 980).columns).toBe(3);
  expect(grid(4, 1920, 980).columns).toBe(2);
});

it("a phone scrolls rather than shrinking", () => {
  expect(grid(4, 366, 780)).toMatchObject({ columns: 1, scrolls: false });
  expect(grid(12, 366, 780)).toMatchObject({ columns: 1, scrolls: true, height: 132 });
});

describe("letters", () => {
  const box = { width: 400, height: 120 };

  it("fill the height if the text is short, the width if it is not", () => {
    expect(fitted("ab", box, roughly)).toBe(100);
    expect(fitted("abcdefghij", box, roughly)).toBeLessThanOrEqual(400 / 6);
  });

  it("become smaller, never taller than the box", () => {
    for (const text of ["W".repeat(80), "寿".repeat(140), "two words ".repeat(14)]) {
      const size = fitted(text, box, roughly);
      const perLine = Math.floor(box.width / (size * Math.max(...[...text].map(roughly))));
      expect(Math.ceil(text.length / perLine) * size * 1.2).toBeLessThanOrEqual(box.height + size * 1.2);
      expect(size).toBeGreaterThanOrEqual(7);
    }
  });

  it("leave room for a frame", () => {
    expect(fitted("ab", box, roughly, 1.2)).toBe(50);
  });

  it("are of one size for most names, whatever the longest is", () => {
    const tile = face(600, 220);
    const sizes = ["Ann", "Bob", "Cid", "W".repeat(80)].map((name) => nameSize(name, tile, roughly, true));
    expect(common(sizes, tile)).toBe(sizes[0]);
    expect(common([7, 7, 7], tile)).toBeGreaterThan(7);
  });

  it("are guessed where there is no canvas", () => {
    expect(measuring("serif")("有")).toBe(1);
  });
});
