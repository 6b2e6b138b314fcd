/** Questions (shadow get) that are still open: few at a time, and asked again where no answer came. */

const AT_ONCE = 8; // of 100 questions a second
const NO_ANSWER_MS = 3000;

/** Over how long the questions of a screen are spread, so that many screens do not ask in one breath. */
export const spreadMs = (count: number, rate: number) => (count <= AT_ONCE ? 0 : Math.min(2000, (count * 1000) / rate));

/** How long to wait after the service was too busy for the `tries`-th time. */
export const backOffMs = (tries: number, random = Math.random()) =>
  Math.min(8000, 250 * 2 ** tries) * (0.5 + random / 2);

interface Question {
  readonly tries: number;
  readonly stage: "resting" | "ready" | "sent";
  readonly timer?: ReturnType<typeof setTimeout>;
}

export type Asking = ReturnType<typeof createAsking>;

/** @param rate how many a second the service takes. */
export function createAsking(get: (thing: string) => void, rate: () => number = () => 100) {
  const open = new Map<string, Question>();

  function rest(thing: string, tries: number, ms: number) {
    const ready = () => {
      open.set(thing, { tries, stage: "ready" });
      send();
    };
    open.set(thing, { tries, stage: "resting", timer: setTimeout(ready, ms) });
  }

  function send() {
    let sent = [...open.values()].filter(({ stage }) => stage === "sent").length;
    for (const [thing, { tries, stage }] of open) {
      if (sent >= (AT_ONCE * rate()) / 100) return;
      if (stage !== "ready") continue;
      open.set(thing, { tries, stage: "sent", timer: setTimeout(() => again(thing), NO_ANSWER_MS) });
      sent += 1;
      get(thing);
    }
  }

  /** Ask for these too; what is being asked already is not asked twice. */
  function ask(things: readonly string[]) {
    const fresh = things.filter((thing) => !open.has(thing));
    for (const thing of fresh) rest(thing, 0, Math.random() * spreadMs(fresh.length, rate()));
  }

  /** The service could not answer just now. */
  function again(thing: string) {
    const question = open.get(thing);
    if (question?.stage !== "sent") return;
    clearTimeout(question.timer);
    rest(thing, question.tries + 1, backOffMs(question.tries));
    send();
  }

  /** There is an answer, whoever asked. */
  function answered(thing: string) {
    clearTimeout(open.get(thing)?.timer);
    if (open.delete(thing)) send();
  }

  function stop() {
    for (const { timer } of open.values()) clearTimeout(timer);
    open.clear();
  }

  return { ask, again, answered, stop };
}
