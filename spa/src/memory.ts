/** What a screen knew last, kept in its browser: something to show, greyed and with its age, before the server answers. */
import { isObject, object, whole, type Json, type JsonObject, type Shadow } from "./shadow";

export interface Memory {
  /** When the screen was last sure of it, by the server's clock in milliseconds. */
  readonly at: number;
  readonly shadows: ReadonlyMap<string, Shadow>;
}

const NOTHING: Memory = { at: 0, shadows: new Map() };
const shelf = (booth: string) => `staffcall booth ${booth}`;

// A browser may forbid storage, have no room, or hold what another version wrote. Then the screen begins with nothing.

export function remembered(booth: string): Memory {
  try {
    const kept = object(JSON.parse(localStorage.getItem(shelf(booth)) ?? "null") as Json);
    const shadows = Object.entries(object(kept["shadows"])).map(([thing, raw]) => [thing, read(object(raw))] as const);
    return { at: whole(kept["at"]), shadows: new Map(shadows) };
  } catch {
    return NOTHING;
  }
}

export function remember(booth: string, { at, shadows }: Memory) {
  try {
    localStorage.setItem(shelf(booth), JSON.stringify({ at, shadows: Object.fromEntries(shadows) }));
  } catch {
    // it works without
  }
}

/** Whatever the service says is newer, and so wins. */
function read(raw: JsonObject): Shadow {
  const delta = raw["delta"];
  return {
    version: -1,
    reported: object(raw["reported"]),
    delta: isObject(delta) ? delta : null,
    deltaSince: whole(raw["deltaSince"]),
    saidAt: whole(raw["saidAt"]),
    fresh: false,
  };
}
