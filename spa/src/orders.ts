/** What a screen is told by the admin: on its own topic, and in its booth's shadow. Pure. */
import { object, text, whole, type Json } from "./shadow";

/** A text for everybody who stands there; shown until then, by the server's clock in milliseconds. */
export interface Notice {
  readonly text: string;
  readonly until: number;
}

export type Order = ({ readonly do: "say" } & Notice) | { readonly do: "identify" } | { readonly do: "reload" };

const LONGEST = 200;

export const inboxOf = (clientId: string) => `kiosk/${clientId}/in`;
export const isInbox = (topic: string) => /^kiosk\/[^/]+\/in$/.test(topic);

/** Read an announcement; null for none. */
export function notice(raw: Json | undefined): Notice | null {
  const from = object(raw);
  const said = text(from["text"], LONGEST);
  return said === "" ? null : { text: said, until: whole(from["until"]) };
}

/** Read one message on the own topic; null for whatever is no order. Never throws. */
export function order(payload: string): Order | null {
  let from;
  try {
    from = object(JSON.parse(payload) as Json);
  } catch {
    return null;
  }
  if (from["do"] === "identify" || from["do"] === "reload") return { do: from["do"] };
  const said = from["do"] === "say" ? notice(from) : null;
  return said && { do: "say", ...said };
}
