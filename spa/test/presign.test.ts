import { expect, it } from "vitest";

import { presigned } from "../src/presign";

// AWS's own words and a signature that botocore makes too.
const HOST = "example-ats.iot.ap-northeast-1.amazonaws.com";
const KEY = {
  accessKeyId: "ASIAEXAMPLE",
  secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  sessionToken: "IQoJb3JpZ2luX2VjEXAMPLE//token+=",
};
const SIGNED =
  `wss://${HOST}/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256` +
  "&X-Amz-Credential=ASIAEXAMPLE%2F20260101%2Fap-northeast-1%2Fiotdevicegateway%2Faws4_request" +
  "&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host" +
  "&X-Amz-Signature=4218d16eaf0e912c4ddf35bb11c6d27f9c1510a1d8fa8256809b349baddfd3bc" +
  "&X-Amz-Security-Token=IQoJb3JpZ2luX2VjEXAMPLE%2F%2Ftoken%2B%3D";

const signed = (endpoint: string, key = KEY, now = new Date("2026-01-01T00:00:00.999Z")) =>
  presigned(endpoint, "ap-northeast-1", key, now);
const signature = (url: string) => new URL(url).searchParams.get("X-Amz-Signature");

it("signs as AWS's example does", async () => {
  expect(await signed(HOST)).toBe(SIGNED);
});

it("signs the host as the browser will send it", async () => {
  expect(await signed(`${HOST}:443`)).toBe(SIGNED);
  expect(await signed(HOST.toUpperCase())).toBe(SIGNED);
  const other = await signed(`${HOST}:8443`);
  expect(other).toMatch(`wss://${HOST}:8443/mqtt?`);
  expect(signature(other)).not.toBe(signature(SIGNED));
});

it("signs the same for a test without TLS", async () => {
  const url = await signed(`ws://${HOST}:4566`);
  expect(url).toMatch(`ws://${HOST}:4566/mqtt?`);
  expect(signature(url)).toBe(signature(await signed(`${HOST}:4566`)));
});

it("does not sign the token", async () => {
  const url = await signed(HOST, { ...KEY, sessionToken: "another" });
  expect(signature(url)).toBe(signature(SIGNED));
  expect(new URL(url).searchParams.get("X-Amz-Security-Token")).toBe("another");
});
