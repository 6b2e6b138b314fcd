/**
 * AWS's address of MQTT over WebSocket: the signature (SigV4) is in the query, because a browser sets no headers there.
 * `crypto.subtle` exists only in a secure context: on https, as CloudFront serves the page, and on localhost.
 */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretKey: string;
  readonly sessionToken: string;
}

/**
 * The address to open within minutes of `now`, AWS's time.
 *
 * `endpoint` is a host, with a port if it is not 443; tests without TLS put `ws://` before it.
 */
export async function presigned(endpoint: string, region: string, key: Credentials, now: Date): Promise<string> {
  const { protocol, host } = new URL(endpoint.includes("://") ? endpoint : `wss://${endpoint}`);
  const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = [time.slice(0, 8), region, "iotdevicegateway", "aws4_request"];
  const query = [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    `X-Amz-Credential=${encodeURIComponent([key.accessKeyId, ...scope].join("/"))}`,
    `X-Amz-Date=${time}`,
    "X-Amz-SignedHeaders=host",
  ].join("&");
  const request = ["GET", "/mqtt", query, `host:${host}`, "", "host", await sha256("")].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", time, scope.join("/"), await sha256(request)].join("\n");
  let signature = bytes(`AWS4${key.secretKey}`);
  for (const part of [...scope, toSign]) signature = await hmac(signature, part);
  // AWS IoT wants the token beside what is signed, not in it, unlike other services.
  const token = encodeURIComponent(key.sessionToken);
  return `${protocol}//${host}/mqtt?${query}&X-Amz-Signature=${hex(signature)}&X-Amz-Security-Token=${token}`;
}

const bytes = (text: string) => new TextEncoder().encode(text);

const hex = (raw: Uint8Array) => Array.from(raw, (byte) => byte.toString(16).padStart(2, "0")).join("");

const sha256 = async (text: string) => hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes(text))));

async function hmac(secret: Uint8Array<ArrayBuffer>, text: string) {
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(text)));
}
