/** One MQTT 3.1.1 connection over WebSocket, on MQTT.js. It never connects again by itself. */
import mqtt from "mqtt";

import type { Dial } from "./composables/useLink";
import { FILTERS, getTopic } from "./shadow";

const CONNECT_MS = 4000;

export const dialAs =
  (clientId: string, booth: string): Dial =>
  ({ url, relayed }, on) => {
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
      ping: () => (relayed ? get(`booth-${booth}`) : client.sendPing()),
      end: () => client.end(true),
    };
  };
