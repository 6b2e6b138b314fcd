/** A machine whose figures a booth shows: an edge device that publishes every second, say. Pure. */
import { isObject, list, object, shown, text, whole, type Json, type Shadow } from "./shadow";

/** How a booth shows it. */
export interface Machine {
  readonly thing: string;
  readonly name: string;
  /** It should be heard of so often, in seconds. */
  readonly every: number;
  /** The unit of each figure that is shown, in this order; empty for all figures. */
  readonly units: ReadonlyMap<string, string>;
}

export interface Figure {
  readonly name: string;
  readonly value: string;
}

const MOST = 8;
const VALUES = 6;
const PERIODS = 3;
const SURELY_MS = 2000; // what comes is stamped with whole seconds, and is on its way for a while
const MACHINE = /^machine-[a-z0-9][a-z0-9_-]{0,23}$/;

export const isMachine = (thing: string) => MACHINE.test(thing);

/** Those in a booth's shadow; what is none is left out. */
export function machines(booth: Shadow): Machine[] {
  const all = list(shown(booth)["machines"]).map(machine);
  const known = new Set<string>();
  return all.filter(({ thing }) => isMachine(thing) && !known.has(thing) && known.add(thing)).slice(0, MOST);
}

function machine(raw: Json): Machine {
  const from = object(raw);
  const units = Object.entries(object(from["units"])).map(([name, unit]) => [name, text(unit, 12)] as const);
  const thing = text(from["thing"], 64);
  return {
    thing,
    name: text(from["name"], 80) || thing.replace(/^machine-/, ""),
    every: whole(from["every"]) || 1,
    units: new Map(units.slice(0, VALUES)),
  };
}

/** What it said last, each figure with its unit, a number as the language writes it. */
export function figures({ units }: Machine, said: Shadow | undefined, language: string): Figure[] {
  const reported = said?.reported ?? {};
  const names = units.size ? [...units.keys()] : Object.keys(reported).slice(0, VALUES);
  return names
    .filter((name) => Object.hasOwn(reported, name) && !isObject(reported[name]) && !Array.isArray(reported[name]))
    .map((name) => ({ name, value: [written(reported[name], language), units.get(name)].filter(Boolean).join(" ") }));
}

function written(value: Json | undefined, language: string): string {
  if (typeof value !== "number") return text(String(value), 40);
  return new Intl.NumberFormat(language, { maximumSignificantDigits: 6 }).format(value);
}

/** How old what it said is, in milliseconds; null while it counts as new. `now` by the server's clock. */
export function staleFor({ every }: Machine, said: Shadow | undefined, now: number): number | null {
  const age = now - (said?.saidAt ?? 0);
  return said && age <= PERIODS * every * 1000 + SURELY_MS ? null : age;
}
