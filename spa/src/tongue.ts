/** A language from what its file in tongues/ has. Nobody who speaks them has read those through yet; `en` and `ja` are in words.ts. */
import type { Words } from "./words";

/** In the order of `Look`, `Look` in short, `End`, and the rest. */
type Line = readonly string[];

/** Four lines, and its sentences with something in them: a table of nothing but names would hide the words. */
export interface Spoken {
  readonly look: Line;
  readonly short: Line;
  readonly ending: Line;
  readonly rest: Line;
  readonly filled: Pick<Words, "passedTo" | "presses" | "arrives" | "lost" | "noBooth" | "call">;
}

const LOOK = ["idle", "calling", "running", "away", "elsewhere", "queued", "passed", "nobody", "unreached"];
const ENDING = ["", "missed", "refused", "done", "ended", "cancelled", "unavailable", "expired"];
const REST = [
  "live",
  "connecting",
  "noBoothHow",
  "noStaff",
  "noStaffHow",
  "cancel",
  "notSent",
  "pairing",
  "wrongCode",
] as const;

export function tongue({ look, short, ending, rest, filled }: Spoken): Words {
  const table = (names: Line, words: Line) => Object.fromEntries(names.map((name, at) => [name, words[at] ?? ""]));
  return {
    look: table(LOOK, look) as Words["look"],
    short: table(LOOK, short) as Words["short"],
    ending: table(ENDING, ["", ...ending]) as Words["ending"],
    ...(table(REST, rest) as Pick<Words, (typeof REST)[number]>),
    said: (name, what) => `${name}: ${what}`,
    ...filled,
  };
}
