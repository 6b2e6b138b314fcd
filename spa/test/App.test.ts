// @vitest-environment happy-dom
import { mount, type VueWrapper } from "@vue/test-utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import App from "../src/App.vue";
import { tonguesOf } from "../src/composables/useWords";
import type { Language, Languages } from "../src/words";
import { asked, booth, call, delta, documents, fakeDial, got, rejected, T0, told } from "./service";

let app: VueWrapper;
beforeEach(() => void vi.useFakeTimers({ now: T0 }));
afterEach(() => {
  app.unmount();
  localStorage.clear();
  vi.advanceTimersByTime(3000); // Vue waits that long for its devtools, once
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

async function screen(spoken: Language | Languages = "en", id = "main", alarm = false) {
  const languages: Languages = typeof spoken === "string" ? [spoken] : spoken;
  const server = fakeDial();
  const currentWay = () => Promise.resolve({ url: "ws://here/mqtt", relayed: false, rate: 100, identity: "" });
  const tongues = await tonguesOf(languages);
  app = mount(App, { props: { id, tongues, alarm, currentWay, dial: server.dial }, attachTo: document.body });
  await vi.advanceTimersByTimeAsync(0);
  server.on.subscribed();
  const say = async (...message: Parameters<typeof server.say>) => {
    server.say(...message);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { server, say };
}

async function front(spoken: Language | Languages = "en") {
  const all = await screen(spoken);
  await all.say(...got("booth-main", booth("Front desk", ["alice", "bob"])));
  await all.say(...got("staff-alice", told("有栖 Alice")));
  await all.say(...got("staff-bob", told("Bob")));
  return all;
}

const tile = (id: string) => app.find(`[data-thing=staff-${id}]`);
const seconds = async (count: number, server: ReturnType<typeof fakeDial>) => {
  for (let passed = 0; passed < count; passed += 1) {
    await vi.advanceTimersByTimeAsync(1000);
    server.on.packet();
  }
};

it("shows the booth's people, live", async () => {
  await front();
  expect(document.body.dataset["link"]).toBe("live");
  expect(app.find("h1").text()).toBe("Front desk");
  expect(document.title).toBe("Front desk · Staff Call");
  expect(app.findAll("[data-thing]").map((each) => each.attributes("data-state"))).toEqual(["idle", "idle"]);
  expect(tile("alice").text()).toContain("Press the button to call");
});

it("flashes while somebody is called from here, and it is sure of it, where it was asked to", async () => {
  const { server, say } = await screen("en", "main", true);
  const alarm = () => document.body.dataset["alarm"];
  await say(...got("booth-main", booth("Front desk", ["alice", "bob"])));
  await say(...got("staff-alice", told("Alice")));
  await say(...got("staff-bob", told("Bob", asked("calling", { call: call({ booth: "east" }) }))));
  expect(alarm()).toBe("off"); // Bob is called elsewhere
  await say(...delta("staff-alice", 2, { state: "calling", call: call({}) }));
  expect(alarm()).toBe("on");
  server.on.closed();
  await vi.advanceTimersByTimeAsync(400);
  expect(alarm()).toBe("off");
});

it.each([
  ["en", "Calling…"],
  ["ja", "呼び出し中"],
] as const)("tells the story of a call in %s", async (language, calling) => {
  const { say, server } = await front(language);
  expect(document.documentElement.lang).toBe(language);
  await say(...delta("staff-alice", 2, { state: "calling" }));
  expect(tile("alice").attributes()).toMatchObject({ "data-state": "calling", "data-told": "false" });
  expect(tile("alice").text()).toContain(calling);
  await seconds(5, server);
  expect(tile("alice").text()).toMatch(/0:0[5-7]/);

  const running = asked("running", { why: "ok", since: T0 + 6000, call: call({ note: "<b>2</b> minutes", count: 2 }) });
  await say(...documents("staff-alice", told("有栖 Alice", running, 3)));
  expect(tile("alice").attributes()).toMatchObject({ "data-state": "running", "data-told": "true" });
  expect(tile("alice").find(".bubble").text()).toBe("<b>2</b> minutes");
  expect(app.find(".unseen[aria-live]").text()).toContain("有栖 Alice");
});

it.each([
  ["en", "in 2 min", "in 1 min", "any moment now"],
  ["ja", "あと2分", "あと1分", "まもなく"],
] as const)("counts down what was promised in %s", async (language, two, one, passed) => {
  const { say, server } = await front(language);
  const running = asked("running", { why: "ok", call: call({ promised: T0 + 120_000 }) });
  await say(...documents("staff-alice", told("Alice", running, 2)));
  expect(tile("alice").find("time").text()).toBe(two);
  await seconds(60, server);
  expect(tile("alice").find("time").text()).toBe(one);
  await seconds(60, server);
  expect(tile("alice").find("time").text()).toBe(passed);
});

it("counts the presses", async () => {
  const { say } = await front();
  await say(...documents("staff-alice", told("Alice", asked("calling", { call: call({ count: 3 }) }), 2)));
  expect(tile("alice").text()).toContain("pressed 3 times");
});

it.each([
  ["en", "Slack unreachable, please ask at the desk"],
  ["ja", "Slackにつながりません。受付でおたずねください"],
] as const)("sends a visitor to the desk in %s while Slack is not reached", async (language, words) => {
  const { say, server } = await front(language);
  const calling = { ...told("Alice", asked("idle", { since: T0 - 5000 }), 2), desired: asked("calling") };
  await say(...documents("staff-alice", calling));
  expect(tile("alice").text()).not.toContain(words);
  await seconds(12, server);
  expect(tile("alice").text()).toContain(words);
  expect(tile("alice").attributes()).toMatchObject({ "data-state": "calling", "data-told": "false" });
  expect(app.find(".unseen[aria-live]").text()).toContain(words);
  await say(...documents("staff-alice", told("Alice", asked("calling"), 3)));
  expect(tile("alice").text()).not.toContain(words);

  const refused = { since: T0, count: 1, at: T0, failed: "channel_is_archived" };
  const again = { ...calling, version: 4, reported: { ...calling.reported, telling: refused } };
  await say(...documents("staff-alice", again));
  expect(tile("alice").text()).toContain(words);
});

it("shows for 30 s that nobody could be reached", async () => {
  const { say, server } = await front();
  await say(
    ...documents("staff-alice", told("Alice", asked("idle", { why: "missed", call: call({ end: "missed" }) }), 2)),
  );
  expect(tile("alice").text()).toContain("ask at the desk");
  await seconds(33, server);
  expect(tile("alice").text()).toContain("Press the button");
});

it("says everything in two languages side by side", async () => {
  const { say, server } = await front(["ja", "en"]);
  expect(
    tile("alice")
      .findAll("[lang]")
      .map((each) => each.attributes("lang")),
  ).toEqual(["ja", "en"]);
  expect(tile("alice").text()).toMatch(/ボタンでお呼びください.*Press the button to call/s);
  await say(...documents("staff-alice", told("Alice", asked("calling", { call: call({ count: 3 }) }), 2)));
  expect(tile("alice").find(".aside").text()).toBe("3回目の呼び出し · pressed 3 times");
  server.on.closed();
  await vi.advanceTimersByTimeAsync(0);
  expect(app.findAll("[role=status] p").map((each) => each.attributes("lang"))).toEqual(["ja", "en"]);
  expect(document.documentElement.lang).toBe("ja");
});

it("says who has the call now, and shows that person too", async () => {
  const { say } = await front();
  await say(...documents("staff-carol", told("Carol", asked("calling"))));
  const passed = asked("idle", { why: "missed", call: call({ end: "missed", to: "staff-carol" }) });
  await say(...documents("staff-alice", told("Alice", passed, 2)));
  expect(tile("alice").text()).toContain("Passed to Carol");
  expect(tile("carol").attributes("data-state")).toBe("calling");
});

it("shows who is busy elsewhere", async () => {
  const { say } = await front();
  await say(...documents("staff-bob", told("Bob", asked("running", { call: call({ booth: "annex" }) }), 2)));
  expect(tile("bob").text()).toContain("Busy elsewhere");
  expect(tile("bob").attributes("data-state")).toBe("running");
});

it("says in words that it lost the link, and lets nothing move until it is back", async () => {
  const { server, say } = await front();
  await say(...delta("staff-alice", 2, { state: "calling" }));
  server.on.closed();
  await vi.advanceTimersByTimeAsync(400);
  expect(document.body.dataset["link"]).toBe("lost");
  expect(app.find("[role=status]").text()).toContain("No connection");
  await vi.advanceTimersByTimeAsync(3000);
  expect(tile("alice").find("time").text()).toBe("3 sec. ago");
  expect(tile("alice").attributes("data-state")).toBe("calling");
  await vi.advanceTimersByTimeAsync(120_000);
  expect(tile("bob").find("time").text()).toBe("2 min. ago");
  server.on.closed();
  await vi.advanceTimersByTimeAsync(1200);
  server.on.subscribed();
  await say(...got("booth-main", booth("Front desk", ["alice", "bob"])));
  await say(...got("staff-alice", told("Alice")));
  await vi.advanceTimersByTimeAsync(400);
  expect(tile("bob").classes()).toContain("stale");
  await say(...rejected("staff-bob", 404));
  expect(document.body.dataset["link"]).toBe("live");
  expect(tile("bob").exists()).toBe(false);
  expect(app.find("[role=status]").exists()).toBe(false);
});

it("shows what it knew, with its age, before the server answers, and believes the server then", async () => {
  const { say } = await front();
  await say(...documents("staff-alice", told("有栖 Alice", asked("calling"), 7)));
  await vi.advanceTimersByTimeAsync(2000);
  app.unmount();
  vi.setSystemTime(T0 + 600_000);
  const later = await screen();
  expect(document.body.dataset["link"]).toBe("lost");
  expect(tile("alice").attributes("data-state")).toBe("calling");
  expect(tile("alice").find("time").text()).toMatch(/^(9|10) min. ago$/);
  expect(app.find("[role=status]").text()).toContain("No connection");
  await later.say(...got("booth-main", booth("Front desk", ["alice"])));
  await later.say(...got("staff-alice", told("有栖 Alice", asked("idle"), 3)));
  expect(document.body.dataset["link"]).toBe("live");
  expect(tile("alice").attributes("data-state")).toBe("idle");
  expect(tile("bob").exists()).toBe(false);
});

it("starts with nothing when what was kept is not what it wrote", async () => {
  localStorage.setItem("staffcall booth main", '{"at": "x", "shadows": {"staff-a": 7}');
  await screen();
  expect(app.findAll("[data-thing]")).toHaveLength(0);
});

it("asks for everything again when somebody sets its clock", async () => {
  const { server } = await front();
  const dialled = server.dialled.length;
  vi.setSystemTime(Date.now() - 7_200_000);
  await vi.advanceTimersByTimeAsync(500);
  expect(document.body.dataset["link"]).toBe("lost");
  expect(tile("alice").find("time").text()).toMatch(/^[01] sec. ago$/);
  await vi.advanceTimersByTimeAsync(1200);
  expect(server.dialled).toHaveLength(dialled + 1);
});

describe("with nobody to show", () => {
  it("says that the booth is not there", async () => {
    const { say } = await screen("en", "annex");
    await say(...rejected("booth-annex", 404));
    expect(app.text()).toContain("“annex” does not exist yet");
    expect(app.find("code").text()).toBe("staffcall booth add annex");
  });

  it("says it in both languages, and the command once", async () => {
    const { say } = await screen(["ja", "en"], "annex");
    await say(...rejected("booth-annex", 404));
    const said = app.findAll(".notice-text").map((each) => [each.attributes("lang"), each.text()]);
    expect(said).toEqual([
      ["ja", "窓口「annex」はまだありません"],
      ["en", "Booth “annex” does not exist yet"],
    ]);
    expect(app.findAll(".notice-how")).toHaveLength(2);
    expect(app.findAll("code")).toHaveLength(1);
  });

  it("offers no command for a booth that cannot be", async () => {
    await screen("en", "<b>");
    await vi.advanceTimersByTimeAsync(0);
    expect(app.text()).toContain("“<b>” does not exist yet");
    expect(app.find("code").exists()).toBe(false);
  });

  it("tells the operator how to add somebody", async () => {
    const { say } = await screen();
    await say(...got("booth-main", booth("Front", [])));
    expect(app.find("code").text()).toContain("staffcall staff add ID");
    expect(app.find("code").text()).toContain("--booth main");
  });
});
