/** A screen's sign-in on AWS: as a guest of a Cognito identity pool, who may read shadows and nothing else. */
import type { Credentials } from "./presign";
import { object, type Json, type JsonObject } from "./shadow";

export interface Pool {
  readonly id: string;
  /** Where Cognito is, `https://…`. */
  readonly url: string;
}

export interface Guest {
  readonly credentials: Credentials;
  /** The guest's id, `region:uuid`. */
  readonly identity: string;
  /** AWS's time. */
  now(): Date;
}

export type SignIn = (pool: Pool) => Promise<Guest>;

interface Stay extends Guest {
  readonly pool: Pool;
  readonly endsAt: number;
  /** Nobody set this machine's clock since, and it did not sleep: `now` is still right. */
  steady(): boolean;
}

const ANSWER_MS = 3000;
const EARLY_MS = 5 * 60_000;
const STEADY_MS = 60_000;
const FORGET = ["ResourceNotFoundException", "NotAuthorizedException"];

/** Makes the one sign-in of a page. It asks Cognito only if what it was given before will not do for another connect. */
export function signingIn(): SignIn {
  let stay: Stay | undefined;
  let asking: Promise<Stay> | undefined;

  const ask = (pool: Pool) =>
    enter(pool)
      .then((entered) => (stay = entered))
      .finally(() => (asking = undefined));

  return async (pool) => (stay && lasts(stay, pool) ? stay : (asking ??= ask(pool)));
}

const lasts = ({ pool, endsAt, now, steady }: Stay, asked: Pool) =>
  pool.id === asked.id && pool.url === asked.url && steady() && endsAt - now().getTime() > EARLY_MS;

async function enter(pool: Pool): Promise<Stay> {
  const identity = kept(pool) || (await newIdentity(pool));
  try {
    const { said, now, steady } = await post(pool, "GetCredentialsForIdentity", { IdentityId: identity });
    const key = object(said["Credentials"]);
    const credentials = {
      accessKeyId: filled(key, "AccessKeyId"),
      secretKey: filled(key, "SecretKey"),
      sessionToken: filled(key, "SessionToken"),
    };
    return { pool, credentials, identity, endsAt: Number(key["Expiration"]) * 1000, now, steady };
  } catch (error) {
    // Somebody deleted it, perhaps: the next try makes another one.
    if (error instanceof Refused && FORGET.includes(error.message)) keep(pool, "");
    throw error;
  }
}

async function newIdentity(pool: Pool): Promise<string> {
  const { said } = await post(pool, "GetId", { IdentityPoolId: pool.id });
  const identity = filled(said, "IdentityId");
  keep(pool, identity);
  return identity;
}

/** Cognito's word for why not, such as `NotAuthorizedException`. */
class Refused extends Error {}

/** Ask Cognito. Raises `Refused`, or another error if there is no answer or none of its own. */
async function post({ url }: Pool, action: string, body: JsonObject) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": `AWSCognitoIdentityService.${action}` },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const clock = clockFrom(answer.headers.get("Date"));
  const said = object((await answer.json()) as Json);
  if (!answer.ok) throw new Refused(String(said["__type"]).replace(/^.*#/, ""));
  return { said, ...clock };
}

/** AWS's clock, from what it said just now; ours, if our page may not read that. A kiosk's own clock is often off. */
function clockFrom(date: string | null) {
  const [here, started] = [Date.now(), performance.now()];
  const there = Date.parse(date ?? "") || here;
  const passed = () => performance.now() - started;
  return {
    now: () => new Date(there + passed()),
    steady: () => Math.abs(Date.now() - here - passed()) < STEADY_MS,
  };
}

function filled(from: JsonObject, name: string): string {
  const value = from[name];
  if (typeof value !== "string" || value === "") throw new Error(`Cognito: ${name}: expected text`);
  return value;
}

// A browser may forbid storage, or have no room. Then each sign-in is a new guest.

const shelf = ({ id }: Pool) => `staffcall identity ${id}`;

function kept(pool: Pool): string {
  try {
    return localStorage.getItem(shelf(pool)) ?? "";
  } catch {
    return "";
  }
}

function keep(pool: Pool, identity: string) {
  try {
    localStorage.setItem(shelf(pool), identity);
  } catch {
    // it works without
  }
}
