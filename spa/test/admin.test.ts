// @vitest-environment happy-dom
import { flushPromises, mount, type VueWrapper } from "@vue/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import AdminApp from "../src/admin/AdminApp.vue";
import { asking, Refused, type Ask, type Method } from "../src/admin/api";
import { unitsOf } from "../src/admin/forms";
import OrderList from "../src/admin/parts/OrderList.vue";
import type { Now, Person } from "../src/admin/roster";
import { ADMIN } from "../src/admin/useAdmin";
import { ADMIN_WORDS } from "../src/admin/words";
import { T0 } from "./service";

const person = (id: string, parts: Partial<Person> = {}): Person => ({
  ...{ id, name: id.toUpperCase(), role: "", slack: "", phone: "", mail: "", line: "", backup: "", booths: ["main"] },
  ...{ state: "idle", told: true, since: T0, until: 0, call: null },
  ...parts,
});

const things = (parts: Partial<Now> = {}): Now => ({
  ...{ at: T0, staff: [person("hana")], buttons: [], unknownButtons: [], troubles: [], rows: [], deliveries: [] },
  booths: [{ id: "main", title: "Front", staff: ["hana"], screens: 1 }],
  ...parts,
});

const row = (n: number, why: string) => ({
  ...{ n, at: T0 + n, thing: "staff-hana", name: "HANA", why, booth: "main", count: 1, end: "", to: "", note: "" },
});

let app: VueWrapper;
let now: Now;
let asked: [Method, string, unknown][];
let answers: Record<string, () => unknown>;

const ask: Ask = <T>(method: Method, path: string, body?: unknown) => {
  asked.push([method, path, body]);
  const answer = answers[`${method} ${path.replace(/\?.*/, "")}`];
  return answer ? (Promise.resolve().then(answer) as Promise<T>) : Promise.reject(new Refused(404, "no such"));
};

beforeEach(() => {
  vi.useFakeTimers({ now: T0 });
  [now, asked] = [things(), []];
  answers = { "GET now": () => now };
  location.hash = "";
});
afterEach(() => {
  app.unmount();
  vi.advanceTimersByTime(3000); // Vue waits that long for its devtools, once
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

async function opened(page = "", language: "en" | "ja" = "en") {
  location.hash = page && `#/${page}`;
  const leave = () => Promise.resolve();
  app = mount(AdminApp, { props: { language, ask, leave }, attachTo: document.body });
  await flushPromises();
}

const later = async (ms = 1000) => {
  await vi.advanceTimersByTimeAsync(ms);
  await flushPromises();
};

it("shows how everybody is, and asks again each second for what is new", async () => {
  now = things({ rows: [row(7, "press")] });
  await opened();
  expect(app.find("[data-staff=hana]").attributes("data-state")).toBe("idle");
  expect(app.find(".feed").text()).toContain("HANA called");
  now = things({ staff: [person("hana", { state: "running", told: false })], rows: [row(8, "ok")] });
  await later();
  expect(asked.map(([, path]) => path)).toEqual(["now?row=-1&delivery=-1", "now?row=7&delivery=-1"]);
  expect(app.find("[data-staff=hana]").attributes("data-state")).toBe("running");
  expect(app.find("[data-staff=hana]").text()).toContain("not told yet");
  expect(app.findAll(".feed li").map((each) => each.find(".what").text())).toEqual(["on the way", "called"]);
});

it("asks more seldom when an answer takes long, and not at all while nobody looks", async () => {
  let took = 400;
  answers["GET now"] = () => new Promise((done) => setTimeout(() => done(now), took));
  await opened();
  await later(400);
  await later(3999);
  expect(asked).toHaveLength(1);
  took = 0;
  await later(1);
  expect(asked).toHaveLength(2);
  const hidden = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
  await later(60_000);
  const until = asked.length;
  await later(60_000);
  expect(asked).toHaveLength(until);
  hidden.mockRestore();
  document.dispatchEvent(new Event("visibilitychange"));
  await later(0);
  expect(asked).toHaveLength(until + 1);
});

it("says that it does not know, and goes on by itself", async () => {
  await opened();
  answers["GET now"] = () => {
    throw new Refused(0, "");
  };
  await later();
  expect(app.find(".lost").text()).toContain("does not answer");
  expect(app.find("[data-staff=hana]").exists()).toBe(true);
  answers["GET now"] = () => now;
  await later();
  expect(app.find(".lost").exists()).toBe(false);
});

it("reads the figures of a machine as somebody types them", () => {
  expect(unitsOf(" temperature = °C, parts、 ratio=a=b,,")).toEqual({ temperature: "°C", parts: "", ratio: "a=b" });
  expect(unitsOf("")).toEqual({});
});

it("counts what needs somebody at the page that is about it", async () => {
  now = things({
    troubles: [{ what: "disk", thing: "", detail: "full", fix: "delete" }],
    unknownButtons: [{ button: "x1", door: "webhook", at: T0, count: 2 }],
  });
  await opened("", "ja");
  expect(app.find("nav [data-page=health] .mark").text()).toBe("1");
  expect(app.find("nav [data-page=buttons] .mark").text()).toBe("1");
  expect(document.documentElement.lang).toBe("ja");
  expect(document.title).toBe("いま · Staff Call");
});

it("turns pages by their address, and shows the first for one that is none", async () => {
  await opened("constructor");
  expect(app.find("main").attributes("data-page")).toBe("now");
  location.hash = "#/booths";
  window.dispatchEvent(new Event("hashchange"));
  await flushPromises();
  expect(app.find("main").attributes("data-page")).toBe("booths");
  expect(document.activeElement?.id).toBe("main");
});

it("adds somebody with three fields, and says what is wrong beside the one that is", async () => {
  await opened("staff");
  const field = (name: string) => app.find(`form [name=${name}]`);
  await field("name").setValue("空 Sora");
  await field("slack").setValue("sora@example.com");
  expect((field("id").element as HTMLInputElement).value).toBe("sora");
  answers["POST staff"] = () => {
    throw new Refused(404, "email: nobody has it");
  };
  await app.find("form").trigger("submit");
  await flushPromises();
  expect(asked.at(-1)).toEqual([
    ...["POST", "staff"],
    { id: "sora", name: "空 Sora", email: "sora@example.com", booth: "main" },
  ]);
  expect(field("email").attributes("aria-invalid")).toBe("true");
  expect(app.find("form small.wrong").text()).toBe("email: nobody has it");
  answers["POST staff"] = () => ({ done: "added", slack: "U0SORA" });
  await app.find("form").trigger("submit");
  await flushPromises();
  expect(app.find("form [role=status]").text()).toBe("空 Sora: added");
  expect((field("name").element as HTMLInputElement).value).toBe("");
});

it("adopts a button that pressed", async () => {
  now = things({ unknownButtons: [{ button: "4401", door: "webhook", at: T0, count: 1 }] });
  await opened("buttons");
  await app.find("[data-button='4401'] button").trigger("click");
  const form = app.find("[data-button='4401'] form");
  await form.find("[name=staff]").setValue("hana");
  answers["POST buttons"] = () => ({ done: "added" });
  await form.trigger("submit");
  await flushPromises();
  expect(asked).toContainEqual(["POST", "buttons", { id: "4401", staff: "hana", booth: "main" }]);
  expect(app.find("[role=status]").text()).toBe("4401: added");
});

it("looks at the health when it is opened, what is wrong first, with what to type", async () => {
  answers["GET health"] = () => ({
    findings: [
      { verdict: "right", what: "disk", thing: "", detail: "fine", fix: "" },
      { verdict: "unknown", what: "slack", thing: "", detail: "not looked at", fix: "later" },
      { verdict: "wrong", what: "route", thing: "staff-hana", detail: "nobody", fix: "Run `staffcall x`." },
    ],
  });
  await opened("health");
  const found = app.findAll(".finding");
  expect(found.map((each) => each.attributes("data-verdict"))).toEqual(["wrong", "unknown"]);
  expect(found[0]?.find(".fix code").text()).toBe("staffcall x");
  expect(app.find("details summary").text()).toBe("1 thing is right");
});

it("filters the history where it is asked for, and by kind on the page", async () => {
  const failed = { n: 1, at: T0 + 9, thing: "staff-hana", kind: "press", outcome: "failed", reason: "HTTP 500" };
  answers["GET history"] = () => ({
    rows: [row(1, "press"), { ...row(2, "missed"), end: "missed" }],
    deliveries: [failed],
    complete: false,
  });
  await opened("history");
  expect(app.findAll("tbody tr")).toHaveLength(3);
  expect(app.text()).toContain("These are the last ones only");
  await app.find("[name=only]").setValue("failures");
  expect(app.findAll("tbody tr").map((each) => each.find(".entry").text())).toEqual([
    "message failed HTTP 500",
    "has not answered at Front",
  ]);
  await app.find("[name=staff]").setValue("hana");
  await app.find("[name=since]").setValue("2026-11-21T10:00");
  await app.find("form").trigger("submit");
  await flushPromises();
  const since = new Date("2026-11-21T10:00").getTime();
  expect(asked).toContainEqual(["GET", `history?since=${String(since)}&until=0&staff=hana&booth=`, undefined]);
});

it("shows an order at once, keeps the last of several, and goes back to what is kept if that fails", async () => {
  const saves: { ids: readonly string[]; done: () => void }[] = [];
  const save = (ids: readonly string[]) => new Promise<void>((done) => saves.push({ ids, done }));
  const admin = { words: ADMIN_WORDS.en } as never;
  const props = { ids: ["a", "b", "c"], name: (id: string) => id.toUpperCase(), save };
  const list = (app = mount(OrderList, { props, global: { provide: { [ADMIN]: admin } }, attachTo: document.body }));
  const order = () => list.findAll("li").map((each) => each.attributes("data-staff"));
  const press = (id: string, key: string) => list.find(`[data-staff=${id}] .handle`).trigger("keydown", { key });

  await press("c", "ArrowUp");
  await press("c", "ArrowUp");
  await press("c", "ArrowUp");
  expect(order()).toEqual(["c", "a", "b"]);
  expect(list.find("[role=status]").text()).toBe("C: 1 of 3");
  expect(saves.map(({ ids }) => ids.join(""))).toEqual(["acb"]);
  saves[0]?.done();
  await flushPromises();
  expect(saves.map(({ ids }) => ids.join(""))).toEqual(["acb", "cab"]);
  saves[1]?.done();
  await flushPromises();
  expect(order()).toEqual(["a", "b", "c"]); // nobody says that it was kept
});

it.each([
  [200, '{"a":1}', { a: 1 }],
  [404, '{"code":404,"message":"id: there is none"}', { code: 404, field: "id", message: "id: there is none" }],
  [502, "<html>", { code: 502, field: "", message: "Bad Gateway" }],
])("reads an answer with the status %i", async (status, body, expected) => {
  await opened();
  const fetching = vi.fn(() =>
    Promise.resolve(new Response(body, { status, statusText: status === 502 ? "Bad Gateway" : "" })),
  );
  const came = await asking(() => undefined, fetching)("POST", "booths", { id: "east" }).catch((no: Refused) => no);
  expect(came).toMatchObject(expected);
  expect(fetching).toHaveBeenCalledWith("/admin/api/booths", expect.objectContaining({ body: '{"id":"east"}' }));
});

it("tells whoever is not logged in any more, and whom it could not ask", async () => {
  await opened();
  const loggedOut = vi.fn();
  const over = asking(loggedOut, () => Promise.resolve(new Response("{}", { status: 401 })));
  await expect(over("GET", "now")).rejects.toMatchObject({ code: 401 });
  expect(loggedOut).toHaveBeenCalledOnce();
  const away = asking(loggedOut, () => Promise.reject(new TypeError("no network")));
  await expect(away("GET", "now")).rejects.toMatchObject({ code: 0, field: "" });
});
