/** Who and what is registered, and what happened, as the server tells it; and how it is put in order. Pure. */
import type { State } from "../staff";

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly slack: string;
  readonly phone: string;
  readonly mail: string;
  readonly line: string;
  readonly backup: string;
  readonly booths: readonly string[];
  /** "" for somebody who was only half added. */
  readonly state: State | "";
  readonly told: boolean;
  readonly since: number;
  readonly until: number;
  readonly call: { readonly booth: string; readonly at: number; readonly count: number; readonly note: string } | null;
}

/** In a button's place of a person: whoever the duty roster has at its booth. */
export const ON_DUTY = "@duty";

/** Whom a button calls, in words: a person, who is on duty, or several, as `all:hana,sora`. */
export function calledBy(
  now: Pick<Now, "staff">,
  reference: string,
  onDuty: string,
  ways: Readonly<Record<string, string>>,
) {
  if (reference === ON_DUTY) return onDuty;
  const [, way, members] = /^((?:all|turn|free):)(.+)$/.exec(reference) ?? [];
  if (way === undefined || members === undefined) return nameOf(now, reference);
  const names = members.split(",").map((id) => nameOf(now, id));
  return `${ways[way] ?? way} (${names.join(", ")})`;
}

export interface Button {
  readonly id: string;
  readonly single: string;
  readonly double: string;
  readonly long: string;
  readonly booth: string;
  /** 0 to 1; null if it never said. */
  readonly battery: number | null;
  readonly click: string;
  readonly at: number;
}

export interface Booth {
  readonly id: string;
  readonly title: string;
  readonly staff: readonly string[];
  /** How many kiosks show it; null where nobody knows. */
  readonly screens: number | null;
}

export interface Machine {
  readonly id: string;
  readonly name: string;
  readonly booth: string;
  /** It publishes so often, in seconds. */
  readonly every_s: number;
  /** The unit of each figure that is shown; empty for all figures. */
  readonly units: Readonly<Record<string, string>>;
}

export interface UnknownButton {
  readonly button: string;
  readonly door: string;
  readonly at: number;
  readonly count: number;
}

export interface Trouble {
  readonly what: string;
  readonly thing: string;
  readonly detail: string;
  readonly fix: string;
}

export interface Transition {
  readonly n: number;
  readonly at: number;
  readonly thing: string;
  readonly name: string;
  readonly why: string;
  readonly booth: string;
  readonly count: number;
  readonly end: string;
  readonly to: string;
  readonly note: string;
}

export interface Attempt {
  readonly n: number;
  readonly at: number;
  readonly thing: string;
  readonly kind: string;
  readonly outcome: string;
  readonly reason: string;
}

/** What the server answers when it is asked how things are. */
export interface Now {
  readonly at: number;
  readonly staff: readonly Person[];
  readonly buttons: readonly Button[];
  readonly booths: readonly Booth[];
  readonly unknownButtons: readonly UnknownButton[];
  readonly troubles: readonly Trouble[];
  readonly rows: readonly Transition[];
  readonly deliveries: readonly Attempt[];
}

export type Verdict = "wrong" | "unknown" | "right";

export interface Finding extends Trouble {
  readonly verdict: Verdict;
}

/** Something that happened: to a call, or to a message about it, by `way`: that of an alert, "" for Slack. */
export type Entry =
  | ({ readonly kind: "call" } & Transition)
  | ({ readonly kind: "message"; readonly way: string } & Omit<Attempt, "kind">);

/** Both in the order of time; what happened to a call comes before the message about it. */
export const entries = (rows: readonly Transition[], attempts: readonly Attempt[]): Entry[] =>
  [
    ...rows.map((row): Entry => ({ ...row, kind: "call" })),
    ...attempts.map((attempt): Entry => ({ ...attempt, kind: "message", way: wayOf(attempt) })),
  ].sort((one, other) => one.at - other.at);

const wayOf = ({ kind }: Attempt) => /^alert (.+)/.exec(kind)?.[1] ?? "";

export const keyOf = (entry: Entry) => `${entry.kind} ${String(entry.n)}`;

/** Whether somebody who looks on wants to know: that nothing had to be said is no news. */
export const isNews = (entry: Entry) => entry.kind === "call" || entry.outcome === "told" || entry.outcome === "failed";

export const VERDICTS: readonly Verdict[] = ["wrong", "unknown", "right"];

/** The list with one of its members elsewhere. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const rest = list.filter((_, index) => index !== from);
  const one = list.slice(from, from + 1);
  return [...rest.slice(0, to), ...one, ...rest.slice(to)];
}

const LONGEST_ID = 24;

/** An id for who has this name: its Latin letters, else what is before the @ of their address, else "staff"; not a taken one. */
export function suggestedId(name: string, slack: string, taken: ReadonlySet<string>): string {
  const latin = (text: string) =>
    text
      .normalize("NFKD")
      .toLowerCase()
      .replace(/\p{M}/gu, "")
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "");
  const base = latin(name) || (slack.includes("@") ? latin(slack.split("@")[0] ?? "") : "") || "staff";
  const numbered = (n: number) => (n === 1 ? base : `${base.slice(0, LONGEST_ID - 4)}-${String(n)}`);
  let n = 1;
  while (taken.has(numbered(n).slice(0, LONGEST_ID))) n += 1;
  return numbered(n).slice(0, LONGEST_ID);
}

/** What was typed as somebody's Slack: an address is looked up there. */
export const slackField = (typed: string) => (typed.includes("@") ? { email: typed } : { slack: typed });

/** Which entries each choice of the history's page lets through. */
export const ONLY: Readonly<Record<string, (entry: Entry) => boolean>> = {
  calls: ({ kind }) => kind === "call",
  messages: ({ kind }) => kind === "message",
  failures: (entry) => (entry.kind === "call" ? UNANSWERED.has(entry.end) : entry.outcome === "failed"),
};

const UNANSWERED: ReadonlySet<string> = new Set(["missed", "refused", "unavailable", "expired"]);

const idOf = (thing: string) => thing.replace(/^staff-/, "");
export const nameOf = ({ staff }: Pick<Now, "staff">, thing: string) =>
  staff.find(({ id }) => id === idOf(thing))?.name || idOf(thing);
export const titleOf = ({ booths }: Pick<Now, "booths">, id: string) =>
  booths.find((booth) => booth.id === id)?.title || id;

/** Whom an entry is about, as they were called then; of a message, as they are called now. */
export const nameIn = (entry: Entry, now: Pick<Now, "staff">) =>
  (entry.kind === "call" && entry.name) || nameOf(now, entry.thing);
