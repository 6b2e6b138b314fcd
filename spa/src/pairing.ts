/** The right of this screen to press: a token that the admin's code is made into, kept in this browser and nowhere else. */
import { object, text, type Json, type JsonObject } from "./shadow";

const shelf = (booth: string) => `staffcall token ${booth}`;
const ANSWER_MS = 5000;
const TRIES = 4;
const AGAIN_MS = 700;

/** The server's word for why not. */
export class Refused extends Error {
  constructor(readonly code: number) {
    super(`refused: ${String(code)}`);
  }
}

export function tokenOf(booth: string): string {
  try {
    return localStorage.getItem(shelf(booth)) ?? "";
  } catch {
    return "";
  }
}

function keep(booth: string, token: string) {
  if (token) localStorage.setItem(shelf(booth), token);
  else localStorage.removeItem(shelf(booth));
}

/** Make a code into the right to press. Raises `Refused`, or another error if there is no answer or no room for it. */
export async function pair(booth: string, code: string): Promise<void> {
  keep(booth, tokenOf(booth)); // whether this browser keeps anything, before a code is spent
  const said = await ask("pair", { code, booth });
  keep(booth, text(said["token"], 200));
}

/** What a touch came to: who has the call now, and its id. */
export interface Touched {
  readonly thing: string;
  readonly call: string;
}

/** Call somebody. It is sent again until there is an answer: the same `id` counts once. */
export async function press(booth: string, staff: string, id: string): Promise<Touched> {
  const said = await surely(() => asScreen(booth, "press", { staff, id }));
  return { thing: text(said["thing"], 64), call: text(said["call"], 64) };
}

/** Take a call back. */
export async function cancel(booth: string, { thing, call }: Touched): Promise<void> {
  await surely(() => asScreen(booth, "cancel", { staff: thing.replace(/^staff-/, ""), call }));
}

async function asScreen(booth: string, door: string, body: JsonObject): Promise<JsonObject> {
  try {
    return await ask(door, body, tokenOf(booth));
  } catch (error) {
    if (error instanceof Refused && error.code === 401) keep(booth, ""); // it was revoked
    throw error;
  }
}

async function surely<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries === TRIES || (error instanceof Refused && error.code < 500)) throw error;
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }
}

async function ask(door: string, body: JsonObject, token = ""): Promise<JsonObject> {
  const answer = await fetch(`kiosk/${door}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (!answer.ok) throw new Refused(answer.status);
  return object((await answer.json()) as Json);
}
