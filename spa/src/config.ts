/** What the server tells a screen at start; the bundle is the same everywhere. */
import type { SignIn } from "./cognito";
import { presigned } from "./presign";
import { object, text, type Json } from "./shadow";

/** `config.json`, beside the page. */
export interface Config {
  readonly place: "local" | "aws";
  /** Where MQTT over WebSocket is, `ws://…/mqtt`; "" on AWS, where the address is signed for each connect. */
  readonly mqtt: string;
  /** Whether somebody else's broker is in between, which may be there when the service is not. */
  readonly relayed: boolean;
  readonly region: string;
  /** AWS's host of MQTT. */
  readonly endpoint: string;
  readonly identityPool: string;
  /** Where Cognito is, if not at AWS; only tests say so. */
  readonly cognito: string;
}

const READ_MS = 3000;
const ASKED_AFTER_MS = [0, 1000, 2000]; // a first packet that was lost is sent again only after seconds

export function config(raw: Json): Config {
  const from = object(raw);
  const field = (name: string) => text(from[name], 2000);
  return {
    place: from["place"] === "aws" ? "aws" : "local",
    mqtt: field("mqtt"),
    relayed: from["relayed"] === true,
    region: field("region"),
    endpoint: field("endpoint"),
    identityPool: field("identityPool"),
    cognito: field("cognito"),
  };
}

/** How to connect: the address, on AWS signed now for one connect, and whether a broker is in between. */
export interface Way {
  readonly url: string;
  readonly relayed: boolean;
  /** How many questions a second one screen may ask. */
  readonly rate: number;
  /** Who this screen is signed in as on AWS; "" elsewhere. */
  readonly identity: string;
}

const RATES = { aws: 100, local: 1000 }; // AWS's quota of a connection; ours has the same number

export const wayOf = async (config: Config, signIn: SignIn): Promise<Way> => ({
  ...(await entranceOf(config, signIn)),
  relayed: config.relayed,
  rate: RATES[config.relayed ? "aws" : config.place], // of a broker in between we know nothing
});

async function entranceOf(config: Config, signIn: SignIn): Promise<Pick<Way, "url" | "identity">> {
  if (config.place === "local") {
    return { url: expected(config, "mqtt", /^wss?:\/\//, "ws:// or wss://"), identity: "" };
  }
  const region = expected(config, "region", /^[a-z0-9-]+$/, "a region of AWS");
  const endpoint = expected(config, "endpoint", /^(wss?:\/\/)?[\w.-]+(:\d+)?$/, "a host");
  const id = expected(config, "identityPool", /^[\w-]+:[0-9a-f-]+$/, "the id of an identity pool");
  const url = config.cognito || `https://cognito-identity.${region}.amazonaws.com`;
  const { credentials, identity, now } = await signIn({ id, url });
  return { url: await presigned(endpoint, region, credentials, now()), identity };
}

function expected(config: Config, name: Exclude<keyof Config, "relayed">, shape: RegExp, what: string): string {
  const value = config[name];
  if (!shape.test(value)) throw new Error(`config.json: ${name}: expected ${what} (${config.place}), got "${value}"`);
  return value;
}

/**
 * Read anew for every connect: the server may have moved. While it is away this also spares failing WebSockets,
 * which Chromium answers with growing pauses of its own.
 */
export async function currentWay(signIn: SignIn): Promise<Way> {
  const enough = new AbortController();
  const signal = AbortSignal.any([enough.signal, AbortSignal.timeout(READ_MS)]);
  try {
    return await wayOf(config(await Promise.race(ASKED_AFTER_MS.map((ms) => read(ms, signal)))), signIn);
  } finally {
    enough.abort();
  }
}

async function read(afterMs: number, signal: AbortSignal): Promise<Json> {
  if (afterMs) await rest(afterMs, signal);
  const answer = await fetch("config.json", { cache: "no-store", signal });
  if (!answer.ok) throw new Error(`config.json: ${String(answer.status)}`);
  return (await answer.json()) as Json;
}

const rest = (ms: number, signal: AbortSignal) =>
  new Promise<void>((done, stop) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      stop(new Error("no need"));
    });
  });
