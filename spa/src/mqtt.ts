/** One MQTT 3.1.1 connection over WebSocket, on MQTT.js. It never connects again by itself. */
import mqtt from "mqtt";

import type { Dial } from "./composables/useLink";
import { inboxOf } from "./orders";
import { FILTERS, getTopic, machineFilters } from "./shadow";

const CONNECT_MS = 4000;
const TRIES = 2;

/** On AWS a screen's id ends in who it is signed in as: by that its own topic is nobody else's. */
export const clientIdOf = ({ clientId }: Screen, identity: string) =>
  identity ? clientId.replace(/-(?=[^-]*$)/, `-${identity}.`) : clientId;

interface Screen {
  readonly clientId: string;
  readonly booth: string;
  /** Is told by what id it is connected. */
  readonly called?: (clientId: string) => void;
}

export const dialAs = (screen: Screen): Dial => {
  let cutOff = 0; // how often in a row we were, instead of being let hear our own topic
  return ({ url, relayed, identity }, on) => {
    const { booth } = screen;
    const clientId = clientIdOf(screen, identity);
    screen.called?.(clientId);
    const get = (thing: string) => client.publish(getTopic(thing), "");
    const client = mqtt.connect(url, {
      clientId,
      protocolVersion: 4,
      clean: true,
      keepalive: 30, // AWS takes no less; the link itself looks much more often
      connectTimeout: CONNECT_MS,
      reconnectPeriod: 0,
      resubscribe: false,
      timerVariant: "native", // the default is a worker made of a blob, which our CSP forbids: pings would stop
    });
    client.on("connect", () => {
      client.subscribe(FILTERS, { qos: 1 }, (error, granted = []) => {
        const refused = error !== null || granted.some(({ qos }) => qos > 2);
        (refused ? on.closed : on.subscribed)();
      });
      // AWS cuts off whoever asks for what they may not hear: calls are shown all the same.
      if (cutOff < TRIES)
        client.subscribe(inboxOf(clientId), { qos: 1 }, (error) => {
          cutOff = error ? cutOff + 1 : 0;
        });
    });
    // A broker in between answers pings also when the service is gone: then only what the service says counts.
    if (!relayed) client.on("packetreceive", () => on.packet());
    client.on("message", (topic, payload) => {
      if (relayed) on.packet();
      on.message(topic, payload.toString());
    });
    client.on("error", () => on.closed());
    client.on("close", () => on.closed());
    return {
      get,
      listen: (thing) => client.subscribe(machineFilters(thing), { qos: 0 }), // a second later there is news
      ping: () => (relayed ? get(`booth-${booth}`) : client.sendPing()),
      end: () => client.end(true),
    };
  };
};
