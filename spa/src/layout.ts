/** Where things go and how big letters are, in pixels. Pure, but for the measuring of letters at the end. */

export interface Grid {
  readonly columns: number;
  /** Of one tile. */
  readonly width: number;
  readonly height: number;
  readonly gap: number;
  /** Whether the screen has to be scrolled; only in the hand, never on a wall. */
  readonly scrolls: boolean;
}

const PHONE_WIDTH = 600;
const PHONE_TILE = 132;
const NAME_SHARE = 0.42; // of the height of a tile's text
const USUAL_NAME = 5.5; // in em

/** As many columns as make the letters of a usual name largest, with few places left empty. */
export function grid(count: number, width: number, height: number): Grid {
  const cells = Math.max(1, count);
  const phone = width < PHONE_WIDTH;
  const gap = phone ? 10 : clamped(Math.min(width, height) / (14 * Math.sqrt(cells)), 6, 24);
  const tiles = Array.from({ length: phone ? 1 : cells }, (_, index) => {
    const [columns, rows] = [index + 1, Math.ceil(cells / (index + 1))];
    const tile = { width: (width - gap * (columns - 1)) / columns, height: (height - gap * (rows - 1)) / rows };
    const filled = cells / (columns * rows); // a hole in the wall costs something
    return { columns, ...tile, worth: usual(face(tile.width, tile.height)) * filled };
  });
  const { columns, ...best } = tiles.reduce((left, right) => (right.worth > left.worth ? right : left));
  const scrolls = phone && best.height < PHONE_TILE;
  return { columns, width: best.width, height: scrolls ? PHONE_TILE : best.height, gap, scrolls };
}

const clamped = (value: number, least: number, most: number) => Math.round(Math.min(most, Math.max(least, value)));

/** The parts of one tile. */
export interface Face {
  /** Icon beside the words, else above them. */
  readonly beside: boolean;
  readonly padding: number;
  readonly icon: number;
  readonly text: { readonly width: number; readonly height: number };
  /** No room for sentences. */
  readonly small: boolean;
}

export function face(width: number, height: number): Face {
  const beside = width / height > 1.25;
  const small = height < 100 || width < 190;
  const padding = Math.round(Math.min(width, height) * (small ? 0.06 : 0.09));
  const [w, h] = [width - 2 * padding, height - 2 * padding];
  const icon = Math.round(beside ? Math.min(h, w * (small ? 0.2 : 0.26)) : Math.min(w * 0.55, h * 0.34));
  const text = beside ? { width: w - icon - padding, height: h } : { width: w, height: h - icon - padding };
  return { beside, padding, icon, text, small };
}

export type Measure = (text: string) => number;

interface Box {
  readonly width: number;
  readonly height: number;
}

const SMALLEST = 7;
const LINE = 1.2; // line height, as in style.css
const ONE_LINE = 0.85; // one line reads better than two, even in letters this much smaller

/**
 * The largest letters, in pixels, with which a text stays inside a box.
 *
 * @param around what a frame around the text takes of the height, in em.
 */
export function fitted(text: string, box: Box, measure: Measure, around = 0): number {
  const tall = (count: number) => box.height / (count * LINE + around);
  const all = pieces(text, measure);
  let size = tall(1);
  while (size > SMALLEST && size > tall(lines(all, box.width / size))) size *= 0.96;
  const single = Math.min(tall(1), box.width / (measure(text) * SLACK));
  return Math.max(SMALLEST, Math.floor(single >= size * ONE_LINE ? single : size));
}

const SLACK = 1.04;

/** Letters for a name in a tile; a long one may take more of the height where there is no note. */
export function nameSize(name: string, { text }: Face, measure: Measure, noted: boolean): number {
  const box = { width: text.width, height: text.height * (noted ? NAME_SHARE : 0.54) };
  return Math.floor(Math.min((text.height * NAME_SHARE) / LINE, fitted(name, box, measure)));
}

/** One size for all names: the largest that two in three can have. The others are smaller. */
export function common(sizes: readonly number[], face: Face): number {
  const third = [...sizes].sort((left, right) => left - right)[Math.floor(sizes.length / 3)] ?? 0;
  return Math.max(third, usual(face) * 0.6); // a booth of long names does not make the short ones small
}

const usual = ({ text }: Face) => Math.min((text.height * NAME_SHARE) / LINE, text.width / USUAL_NAME);

// Where a browser may break a line: at spaces, and between Japanese letters.
const PIECES =
  /[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]|[^\s\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]+|\s+/g;

interface Piece {
  readonly width: number;
  readonly blank: boolean;
}

const pieces = (text: string, measure: Measure): Piece[] =>
  (text.match(PIECES) ?? []).map((piece) => ({ width: measure(piece) * SLACK, blank: piece.trim() === "" }));

/** How many lines of a width; a piece that is wider than a line is broken anywhere. */
function lines(all: readonly Piece[], width: number): number {
  let [count, used] = [1, 0];
  for (const piece of all) {
    if (used + piece.width <= width) used += piece.width;
    else if (!piece.blank) {
      count += Math.ceil(piece.width / width) - (used === 0 ? 1 : 0);
      used = piece.width % width;
    }
  }
  return count;
}

/** Without a canvas: Japanese letters are square, others a good half. */
export const roughly: Measure = (text) =>
  [...text].reduce(
    (sum, letter) => sum + (letter > "\u2e7f" ? 1 : letter === " " ? 0.3 : letter < "a" ? 0.72 : 0.6),
    0,
  );

const MEASURED = 1000; // a wall of 200 has fewer

/** Measures with the letters that this machine has. */
export function measuring(font: string): Measure {
  const canvas = document.createElement("canvas").getContext("2d");
  if (!canvas) return roughly;
  canvas.font = `700 100px ${font}`;
  const known = new Map<string, number>();
  return (text) => {
    const width = known.get(text) ?? canvas.measureText(text).width / 100;
    if (known.size >= MEASURED) known.clear(); // notes are new each time, and a screen runs for weeks
    known.set(text, width);
    return width;
  };
}
