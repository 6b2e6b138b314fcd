/** A person as a screen sees them: read from a shadow, and how each state looks. Pure. */
import { list, object, text, whole, type Json, type Shadow, shown } from "./shadow";

export const STATES = ["idle", "calling", "running", "away"] as const;
export type State = (typeof STATES)[number];

const ENDS = ["", "missed", "refused", "done", "ended", "cancelled", "unavailable", "expired"] as const;
export type End = (typeof ENDS)[number];

export interface Call {
  readonly id: string;
  readonly booth: string;
  /** First press, milliseconds since 1970. */
  readonly at: number;
  /** Presses so far. */
  readonly count: number;
  /** What the person answered after "ok", or wrote before that or on their way. */
  readonly note: string;
  /** When they said that they would be there, milliseconds since 1970; 0 if they did not. */
  readonly promised: number;
  readonly end: End;
  /** The thing that has the call now, "" if nobody else does. */
  readonly to: string;
  /** Things that were asked before. */
  readonly tried: readonly string[];
  /** Whom the button calls, if that is a group, such as `all:hana,sora`. */
  readonly group: string;
}

export interface Person {
  readonly thing: string;
  readonly name: string;
  readonly role: string;
  readonly state: State;
  /** Since when, milliseconds since 1970; 0 if the shadow does not say. */
  readonly since: number;
  readonly why: string;
  readonly call: Call;
  /** Booths whose calls wait until this person is free. */
  readonly waiting: readonly string[];
  /** False while Slack has not been told of the latest change. */
  readonly told: boolean;
  /** Since when it has not, milliseconds since 1970; 0 if it has. */
  readonly untoldSince: number;
  /** Slack does not take the message about this call until somebody has mended something. */
  readonly refused: boolean;
  /** False while the answer to this screen's question is still out. */
  readonly fresh: boolean;
}

/**
 * What a tile says at one booth. Beyond the states of the person:
 * `elsewhere`, with another booth's call; `queued`, the same, and this booth's call is next;
 * `passed`, somebody else has the call now; `nobody`, it ended with nobody left to ask;
 * `unreached`, they are called, and Slack does not take the message.
 */
export type Look = State | "elsewhere" | "queued" | "passed" | "nobody" | "unreached";

export type Icon = "button" | "bell" | "walk" | "moon" | "hourglass" | "arrow" | "desk" | "silence";

/** Shape and tone of each look; the words are in words.ts. */
export const LOOKS: Record<Look, { icon: Icon; tone: "calm" | "urgent" | "good" | "muted" | "busy" | "alert" }> = {
  idle: { icon: "button", tone: "calm" },
  calling: { icon: "bell", tone: "urgent" },
  running: { icon: "walk", tone: "good" },
  away: { icon: "moon", tone: "muted" },
  elsewhere: { icon: "hourglass", tone: "busy" },
  queued: { icon: "hourglass", tone: "urgent" },
  passed: { icon: "arrow", tone: "busy" },
  nobody: { icon: "desk", tone: "alert" },
  unreached: { icon: "silence", tone: "alert" },
};

export const END_SHOWN_MS = 30_000;
/** A message that is under way for longer than this has not reached anybody, as far as a visitor can wait. */
export const UNTOLD_MS = 10_000;

/** Read a staff shadow. What is missing or nonsense becomes its empty value, an unknown state is idle. */
export function person(thing: string, shadow: Shadow): Person {
  const now = shown(shadow);
  const telling = object(now["telling"]);
  // That somebody is to be reached by an SMS, too, says nothing about Slack.
  const told = Object.keys(shadow.delta ?? {}).every((key) => key === "alert");
  return {
    thing,
    name: text(now["name"], 80) || thing.replace(/^staff-/, ""),
    role: text(now["role"], 80),
    state: member(STATES, now["state"]),
    since: whole(now["since"]),
    why: text(now["why"], 16),
    call: call(now["call"]),
    waiting: list(now["waiting"]).map((each) => call(each).booth),
    told,
    untoldSince: told ? 0 : whole(shadow.delta?.["since"]) || shadow.deltaSince,
    refused: !told && text(telling["failed"], 80) !== "" && whole(telling["since"]) === whole(now["since"]),
    fresh: shadow.fresh,
  };
}

function call(raw: Json | undefined): Call {
  const from = object(raw);
  return {
    id: text(from["id"], 64),
    booth: text(from["booth"], 24),
    at: whole(from["at"]),
    count: whole(from["count"]),
    note: text(from["note"], 140),
    promised: whole(from["promised"]),
    end: member(ENDS, from["end"]),
    to: text(from["to"], 64),
    tried: list(from["tried"]).filter((each) => typeof each === "string"),
    group: text(from["group"], 300),
  };
}

/** Who was called along with a person, as things: whoever of them says ok first goes. */
export function calledAlong({ thing, state, call }: Person): string[] {
  if (state !== "calling" || !call.group.startsWith("all:")) return [];
  const members = call.group.slice("all:".length).split(",");
  return members.map((id) => `staff-${id}`).filter((each) => each !== thing && !call.tried.includes(each));
}

/** The same people, with those as called who were called along with somebody and have no call of their own. */
export function together(people: ReadonlyMap<string, Person>): ReadonlyMap<string, Person> {
  const found = new Map(people);
  for (const caller of people.values()) {
    for (const thing of calledAlong(caller)) {
      const other = people.get(thing);
      if (other?.state !== "idle") continue;
      const { state, since, why, told, untoldSince, refused } = caller;
      const call = { ...caller.call, note: "" }; // those are the words of one of them
      found.set(thing, { ...other, state, since, why, call, told, untoldSince, refused });
    }
  }
  return found;
}

/** The same people, each whose call was passed on with who has it at this moment; with nobody, once it is over. */
export function passedOn(people: ReadonlyMap<string, Person>): ReadonlyMap<string, Person> {
  const found = new Map(people);
  for (const giver of people.values()) {
    const { id, booth, to } = giver.call;
    const taker = people.get(to);
    if (!taker || serves(taker, booth) || taker.waiting.includes(booth)) continue; // or it is not known here yet
    const holder = id && [...people.values()].find((each) => serves(each, booth) && each.call.id === id);
    const call: Call = holder ? { ...giver.call, to: holder.thing } : { ...giver.call, to: "", end: "" };
    found.set(giver.thing, { ...giver, call });
  }
  return found;
}

const member = <T extends Json>(members: readonly [T, ...T[]], value: Json | undefined): T =>
  members.find((each) => each === value) ?? members[0];

/** Whether a person is called to, or on the way to, a booth. */
export const serves = ({ state, call }: Person, booth: string) => BUSY.has(state) && call.booth === booth;

/** What the tile of a person says at a booth, `now` by the server's clock in milliseconds. */
export function look(person: Person, booth: string, now: number): Look {
  const { state, call } = person;
  if (BUSY.has(state) && call.booth !== booth) return person.waiting.includes(booth) ? "queued" : "elsewhere";
  if (state === "calling" && isUnreached(person, now)) return "unreached";
  if (BUSY.has(state) || call.booth !== booth || !endedJustNow(person, now)) return state;
  if (call.to) return "passed";
  return UNANSWERED.has(call.end) ? "nobody" : state;
}

/** How the last call of this booth ended, beside an idle look; "" otherwise. */
export const ending = (person: Person, booth: string, now: number): End =>
  look(person, booth, now) === "idle" && person.call.booth === booth && endedJustNow(person, now)
    ? person.call.end
    : "";

/** Since when the visitor has been waiting, or the person has been on the way; 0 where time says nothing. */
export function countsFrom({ call, since }: Person, look: Look): number {
  if (look === "calling") return Math.min(call.at || since, since); // a call that moved is older than its state
  return look === "running" ? since : 0;
}

/** In how many minutes the person on the way said that they would be here, 0 once that has passed; null without a word. */
export function minutesLeft({ call }: Person, look: Look, now: number): number | null {
  if (look !== "running" || call.promised === 0) return null;
  return Math.max(0, Math.ceil((call.promised - now) / 60_000));
}

/** How often the visitor pressed, where that is worth a word; else 0. */
export const presses = ({ call }: Person, look: Look) => (look === "calling" && call.count > 1 ? call.count : 0);

/** The speech bubble: what the person told the visitor. */
export const bubble = ({ call }: Person, look: Look) => (look === "running" || look === "calling" ? call.note : "");

/** What the person does here, where the tile has not more to say than that. */
export const role = (person: Person, look: Look) => (WORDY.has(look) || bubble(person, look) ? "" : person.role);

const WORDY: ReadonlySet<Look> = new Set(["queued", "passed", "nobody", "unreached"]);
const BUSY: ReadonlySet<State> = new Set(["calling", "running"]);
const UNANSWERED: ReadonlySet<End> = new Set(["missed", "refused", "unavailable"]);

/** Whether somebody has a call. */
export const isBusy = (state: State) => BUSY.has(state);

const isUnreached = ({ told, untoldSince, refused }: Person, now: number) =>
  !told && (refused || now - untoldSince > UNTOLD_MS);

function endedJustNow({ state, why, since, call }: Person, now: number): boolean {
  // coming back, and going away with nobody waiting, leave the end of an older call in the shadow
  const older = why === "back" || (why === "away" && call.end !== "unavailable");
  return !BUSY.has(state) && call.end !== "" && !older && Math.abs(now - since) < END_SHOWN_MS;
}
