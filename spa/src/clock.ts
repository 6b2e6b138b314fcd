/** The server's clock, as far as messages that carry whole seconds tell it. Pure. */

/** How far the server's clock is ahead of ours, in milliseconds: somewhere from `least` to `most`. */
export interface Offset {
  readonly least: number;
  readonly most: number;
}

export const UNKNOWN: Offset = { least: -Infinity, most: Infinity };

const ON_THE_WAY_MS = 1000;

/** What is known after a message stamped `at` (seconds, 0 for no stamp) arrived at `here` (our milliseconds). */
export function narrowed(known: Offset, at: number, here: number): Offset {
  if (at === 0) return known;
  const heard = { least: at * 1000 - here, most: at * 1000 - here + 1000 + ON_THE_WAY_MS };
  const both = { least: Math.max(known.least, heard.least), most: Math.min(known.most, heard.most) };
  return both.least <= both.most ? both : heard; // one of the two clocks was set: the newest message is right
}

/** The server's time at our `here`: the smallest correction that agrees with all messages. */
export const serverTime = ({ least, most }: Offset, here: number) => here + Math.min(Math.max(0, least), most);

/** What is known after this machine's clock was set by `ms`: the server's time goes on as it did. */
export const shifted = ({ least, most }: Offset, ms: number): Offset => ({ least: least - ms, most: most - ms });

/** `1:05`, `12:00`, `1:02:03`; never negative. */
export function elapsed(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (part: number) => String(part).padStart(2, "0");
  return h ? `${String(h)}:${two(m)}:${two(s)}` : `${String(m)}:${two(s)}`;
}

/** Hours and minutes where the screen hangs. */
export const timeOfDay = (ms: number, language: string) => clockIn(language).format(ms);

const clocks = new Map<string, Intl.DateTimeFormat>(); // to make one takes longer than to draw a tile
function clockIn(language: string): Intl.DateTimeFormat {
  const shape = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  const clock = clocks.get(language) ?? new Intl.DateTimeFormat(language, shape);
  clocks.set(language, clock);
  return clock;
}

/** How long ago something was, in words such as `5 min. ago`. */
export function ago(ms: number, language: string): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const said = new Intl.RelativeTimeFormat(language, { style: "short" });
  if (seconds < 60) return said.format(-seconds, "second");
  return seconds < 3600
    ? said.format(-Math.floor(seconds / 60), "minute")
    : said.format(-Math.floor(seconds / 3600), "hour");
}
