/** What the server tells a screen at start; the bundle is the same everywhere. */
import { object, text, type Json } from "./shadow";

/** `config.json`, beside the page. */
export interface Config {
  readonly place: "local" | "aws";
  /** Where MQTT over WebSocket is, `ws://…/mqtt`; "" on AWS, where the address is signed for each connect. */
  readonly mqtt: string;
  readonly region: string;
  readonly endpoint: string;
  readonly identityPool: string;
}

const READ_MS = 3000;

export function config(raw: Json): Config {
  const from = object(raw);
  const field = (name: string) => text(from[name], 2000);
  return {
    place: from["place"] === "aws" ? "aws" : "local",
    mqtt: field("mqtt"),
    region: field("region"),
    endpoint: field("endpoint"),
    identityPool: field("identityPool"),
  };
}

/** The address to connect to. */
export function urlOf({ place, mqtt }: Config): string {
  if (!/^wss?:\/\//.test(mqtt))
    throw new Error(`config.json: mqtt: expected ws:// or wss:// (${place}), got "${mqtt}"`);
  return mqtt;
}

/**
 * Read anew for every connect: the server may have moved. While it is away this also spares failing WebSockets,
 * which Chromium answers with growing pauses of its own.
 */
export async function currentUrl(): Promise<string> {
  const answer = await fetch("config.json", { cache: "no-store", signal: AbortSignal.timeout(READ_MS) });
  if (!answer.ok) throw new Error(`config.json: ${String(answer.status)}`);
  return urlOf(config((await answer.json()) as Json));
}
