/** A booth, and who belongs on its screen. Pure. */
import { machines, type Machine } from "./machine";
import { notice, type Notice } from "./orders";
import { list, shown, text, type Shadow } from "./shadow";
import { calledAlong, look, serves, type Person } from "./staff";

export interface Booth {
  readonly title: string;
  /** Things, in the order in which they are shown. */
  readonly staff: readonly string[];
  readonly machines: readonly Machine[];
  /** What is announced to everybody there. */
  readonly notice: Notice | null;
}

const MOST = 200;
const BOOTH = /^[a-z0-9][a-z0-9_-]{0,23}$/;
const STAFF = /^staff-[a-z0-9][a-z0-9_-]{0,23}$/;

export const isBoothId = (id: string) => BOOTH.test(id);
export const isStaff = (thing: string) => STAFF.test(thing);

/** Read a booth's shadow. What is no staff thing's name is left out, and so is a second mention. */
export function booth(shadow: Shadow): Booth {
  const now = shown(shadow);
  const things = list(now["staff"]).filter((thing): thing is string => typeof thing === "string" && isStaff(thing));
  return {
    title: text(now["title"], 80),
    staff: [...new Set(things)].slice(0, MOST),
    machines: machines(shadow),
    notice: notice(now["notice"]),
  };
}

/** A place on the screen; it is kept free for whoever is listed and not known yet, so that nobody moves. */
export interface Place {
  readonly thing: string;
  readonly person?: Person;
}

/** The booth's own staff, and after them whoever else has, or will have, a call of this booth. */
export function places(
  id: string,
  listed: readonly string[],
  people: ReadonlyMap<string, Person>,
  missing: ReadonlySet<string>,
  now: number,
): Place[] {
  const own = listed.filter((thing) => people.has(thing) || !missing.has(thing));
  const guests = [...people.values()].filter((person) => !listed.includes(person.thing) && helps(person, id, now));
  return [...own, ...guests.map(({ thing }) => thing)].map((thing) => {
    const person = people.get(thing);
    return person ? { thing, person } : { thing };
  });
}

/** Things a screen has to know: its staff, whoever else may be on it, and whom a call of this booth went to. */
export function wanted(id: string, listed: readonly string[], people: Iterable<Person>): Set<string> {
  const things = new Set(listed);
  for (const person of people) {
    if (helps(person, id, person.since)) things.add(person.thing);
    if (person.call.booth === id && isStaff(person.call.to)) things.add(person.call.to);
    if (person.call.booth === id)
      calledAlong(person)
        .filter(isStaff)
        .forEach((thing) => things.add(thing));
  }
  return things;
}

const helps = (person: Person, id: string, now: number) =>
  serves(person, id) || person.waiting.includes(id) || look(person, id, now) === "nobody";
