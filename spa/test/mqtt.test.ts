import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { dialAs } from "../src/mqtt";
import { inboxOf, isInbox } from "../src/orders";
import { FILTERS } from "../src/shadow";

const SCREEN = { clientId: "kiosk-main-a1b2c3", booth: "main" };
const CONNECT = 1;
const SUBSCRIBE = 8;

let server: Server;
let asked: string[][]; // of each connection, what it asked to hear
let cutsOff: boolean; // whoever asks for a topic of their own, as AWS does if they have no right to it

/** As much of a broker as a screen needs to be live: packets here are shorter than 16 KB and come whole. */
function broker(socket: Socket) {
  const filters: string[] = [];
  asked.push(filters);
  socket.on("error", () => undefined);
  socket.on("data", (bytes) => {
    for (let rest = bytes; rest.length;) {
      const short = rest.readUInt8(1);
      const start = short > 127 ? 3 : 2;
      const length = short > 127 ? (short & 127) + 128 * rest.readUInt8(2) : short;
      const body = rest.subarray(start, start + length);
      const type = rest.readUInt8() >> 4;
      rest = rest.subarray(start + length);
      if (type === CONNECT) socket.write(Buffer.from([0x20, 2, 0, 0]));
      if (type !== SUBSCRIBE) continue;
      const wanted = filtersOf(body.subarray(2));
      filters.push(...wanted);
      if (cutsOff && wanted.some(isInbox)) return void socket.destroy();
      socket.write(Buffer.from([0x90, 2 + wanted.length, ...body.subarray(0, 2), ...wanted.map(() => 1)]));
    }
  });
}

function filtersOf(bytes: Buffer): string[] {
  if (!bytes.length) return [];
  const end = 2 + bytes.readUInt16BE();
  return [bytes.subarray(2, end).toString(), ...filtersOf(bytes.subarray(end + 1))];
}

beforeEach(async () => {
  asked = [];
  cutsOff = true;
  server = createServer(broker).listen(0, "127.0.0.1");
  await vi.waitUntil(() => server.listening);
});
afterEach(() => new Promise((closed) => server.close(closed)));

/** Connects again after each end, as the link does, until it has been so often. */
async function dialled(times: number, dial = dialAs(SCREEN)) {
  const { port } = server.address() as AddressInfo;
  const before = asked.length;
  for (let n = 0; n < times; n++) {
    const seen = { packets: 0, subscribed: false, closed: false };
    const on = {
      subscribed: () => (seen.subscribed = true),
      closed: () => (seen.closed = true),
      packet: () => (seen.packets += 1),
      message: () => undefined,
    };
    const way = { url: `mqtt://127.0.0.1:${port}`, relayed: false, identity: "", rate: 1 };
    const connection = dial(way, on);
    const inbox = () => asked[n + before]?.includes(inboxOf(SCREEN.clientId)) ?? false;
    const answered = () => seen.subscribed && !(cutsOff && inbox()) && seen.packets >= (inbox() ? 3 : 2);
    await vi.waitUntil(() => seen.closed || answered(), { timeout: 20_000 });
    connection.end();
    await vi.waitUntil(() => seen.closed, { timeout: 20_000 });
  }
  return dial;
}

const inboxes = () => asked.map((filters) => filters.includes(inboxOf(SCREEN.clientId)));

it("asks no more for a topic of its own once it was cut off for it twice, and is live", async () => {
  await dialled(4);
  expect(asked.every((filters) => FILTERS.every((each) => filters.includes(each)))).toBe(true);
  expect(inboxes()).toEqual([true, true, false, false]);
});

it("asks for it at each connection where it may hear it", async () => {
  cutsOff = false;
  await dialled(4);
  expect(inboxes()).toEqual([true, true, true, true]);
});

it("counts only ends in a row", async () => {
  const dial = await dialled(1);
  cutsOff = false;
  await dialled(1, dial);
  cutsOff = true;
  await dialled(3, dial);
  expect(inboxes()).toEqual([true, true, true, true, false]);
});
