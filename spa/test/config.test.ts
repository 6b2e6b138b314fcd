import { expect, it } from "vitest";

import { config, urlOf } from "../src/config";

it("reads what the server says", () => {
  const read = config({ place: "local", mqtt: "ws://192.168.1.5:8083/mqtt" });
  expect(read).toEqual({
    place: "local",
    mqtt: "ws://192.168.1.5:8083/mqtt",
    region: "",
    endpoint: "",
    identityPool: "",
  });
  expect(urlOf(read)).toBe("ws://192.168.1.5:8083/mqtt");
});

it.each([{}, null, { mqtt: 7 }, { mqtt: "http://x" }, { mqtt: "javascript:alert(1)" }])("refuses %j by name", (raw) => {
  expect(() => urlOf(config(raw))).toThrow(/config\.json: mqtt: expected ws/);
});
