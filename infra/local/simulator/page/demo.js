// The demo page: what the channel holds, asked for once a second, and two ways to act: press, and answer.

const SAY = {
  ja: {
    demo: "デモ",
    lost: "接続が切れました。つなぎ直しています…",
    kiosk: "受付画面を開く",
    other: "English",
    booth: "ブースのボタン",
    boothHint: "ボタンを押すと、担当のスタッフが Slack で呼び出されます。",
    button: "ボタン",
    SINGLE: "押す",
    DOUBLE: "2回押し",
    LONG: "長押し",
    channels: "チャンネル",
    people: "スタッフ",
    pretend: "この Slack は見本です。投稿は外へ出ません。",
    answerAs: "返信する人",
    write: "返信を書く（ok 5分で、など）",
    send: "送信",
    quick: ["ok", "ok 5分で行きます", "no", "done", "away", "back"],
    empty: "まだ何も届いていません。左のボタンを押してみてください。",
    noButton: "ボタンが登録されていません",
    nobody: "割り当てなし",
    noSlack: "Slack ID なし",
    us: "Staff Call",
    app: "アプリ",
    calls: (name) => `${name}さん`,
    pressed: (name, state) => `${name}さん：${state}`,
    states: { idle: "待機中", calling: "呼び出し中", running: "向かっています", away: "離席中" },
  },
  en: {
    demo: "demo",
    lost: "Connection lost, trying again…",
    kiosk: "Open the kiosk",
    other: "日本語",
    booth: "The button at the booth",
    boothHint: "Press it, and the staff member who looks after it is mentioned in Slack.",
    button: "Button",
    SINGLE: "Press",
    DOUBLE: "Double",
    LONG: "Long",
    channels: "Channels",
    people: "Staff",
    pretend: "This Slack is acted out: nothing leaves this machine.",
    answerAs: "Answer as",
    write: "Write an answer, such as: ok, 5 minutes",
    send: "Send",
    quick: ["ok", "ok, 5 minutes", "no", "done", "away", "back"],
    empty: "Nothing has come yet. Press the button on the left.",
    noButton: "No button is registered",
    nobody: "not assigned",
    noSlack: "no Slack id",
    us: "Staff Call",
    app: "APP",
    calls: (name) => name,
    pressed: (name, state) => `${name}: ${state}`,
    states: { idle: "free", calling: "called", running: "on the way", away: "away" },
  },
};

const EVERY_MS = 1000;
const at = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
let say = null;
let run = "";
let last = 0;
let staff = [];
let buttons = [];

function made(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function speak(lang) {
  const chosen = lang in SAY ? lang : "en";
  say = SAY[chosen];
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say[element.dataset.say];
  for (const element of document.querySelectorAll("[data-hint]")) {
    element.placeholder = say[element.dataset.hint];
    element.setAttribute("aria-label", say[element.dataset.hint]);
  }
  const other = chosen === "ja" ? "en" : "ja";
  at("other-language").textContent = say.other;
  at("other-language").lang = other;
  at("other-language").href = `/demo?lang=${other}`;
  at("kiosk").href = `/?lang=${chosen}`;
  at("quick").replaceChildren(
    ...say.quick.map((words) => {
      const button = made("button", "", words);
      button.type = "button";
      button.addEventListener("click", () => answer(words));
      return button;
    }),
  );
}

// What came

function face(message) {
  if (message.by !== "person") return made("span", "face ours", "S");
  const hue = [...message.name].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % 6;
  return made("span", `face hue-${hue}`, [...message.name][0]);
}

function part(piece) {
  if ("mention" in piece) return made("span", "mention", `@${piece.mention}`);
  return "bold" in piece ? made("strong", "", piece.bold) : document.createTextNode(piece.text);
}

function row(message) {
  const item = made("li", "");
  item.dataset.by = message.by;
  const by = made("p", "by", message.by === "person" ? message.name : say.us);
  if (message.by !== "person") by.append(made("span", "app", say.app));
  const when = new Date(message.at);
  const time = made("time", "", when.toLocaleTimeString(document.documentElement.lang, { timeStyle: "short" }));
  time.dateTime = when.toISOString();
  by.append(time);
  const words = made("p", "words");
  words.append(...message.parts.map(part));
  const picture = face(message);
  picture.setAttribute("aria-hidden", "true");
  item.append(picture, by, words);
  return item;
}

function show(messages) {
  const list = at("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  if (messages.length) list.querySelector(".empty")?.remove();
  list.append(...messages.map(row));
  if (!list.children.length) list.append(made("li", "empty", say.empty));
  if (messages.length && atEnd) list.scrollTop = list.scrollHeight;
  const called = messages.findLast((message) => message.by === "bridge")?.parts.find((piece) => piece.thing);
  if (called && !at("text").value) choose(called.thing); // whoever was called last is who will answer
}

// Who is there

function options(select, choices) {
  const chosen = select.value;
  const wanted = JSON.stringify(choices);
  if (select.dataset.shown === wanted) return;
  select.dataset.shown = wanted;
  select.replaceChildren(
    ...choices.map(([value, text]) => {
      const option = made("option", "", text);
      option.value = value;
      return option;
    }),
  );
  if (choices.some(([value]) => value === chosen)) select.value = chosen;
}

function choose(thing) {
  if (staff.some((person) => person.thing === thing && person.answers)) at("staff").value = thing;
  showPeople();
}

function showPeople() {
  const list = at("people");
  const wanted = JSON.stringify([staff, at("staff").value]);
  if (list.dataset.shown === wanted) return;
  list.dataset.shown = wanted;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.thing : "";
  list.replaceChildren(
    ...staff.map((person) => {
      const item = document.createElement("li");
      const button = made("button", "");
      button.type = "button";
      button.disabled = !person.answers;
      button.dataset.state = person.state;
      button.dataset.thing = person.thing;
      button.setAttribute("aria-pressed", String(person.thing === at("staff").value));
      const state = person.answers ? say.states[person.state] : `${say.states[person.state]} · ${say.noSlack}`;
      button.append(made("span", "dot"), made("span", "who", person.name), made("small", "", state));
      button.addEventListener("click", () => choose(person.thing));
      item.append(button);
      return item;
    }),
  );
  if (focused) list.querySelector(`[data-thing="${CSS.escape(focused)}"]`)?.focus();
}

function nameOf(thing) {
  return staff.find((person) => person.thing === thing)?.name ?? thing;
}

function showButtons() {
  const choices = buttons.map((button) => [button.id, button.booth ? `${button.id} (${button.booth})` : button.id]);
  options(at("button"), choices.length ? choices : [["", say.noButton]]);
  const calls = buttons.find((button) => button.id === at("button").value)?.calls ?? {};
  for (const element of document.querySelectorAll("[data-calls]")) {
    const thing = calls[element.dataset.calls];
    element.textContent = thing ? say.calls(nameOf(thing)) : say.nobody;
    element.closest("button").disabled = !thing;
  }
}

// Asking and acting

async function look() {
  const state = await ask();
  document.body.dataset.link = state ? "live" : "lost";
  if (state) take(state);
}

async function ask() {
  try {
    const response = await fetch(`/demo/state?after=${last}&run=${run}`, { signal: AbortSignal.timeout(5000) });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

function take(state) {
  if (!say) speak(asked.get("lang") ?? state.lang);
  if (state.run !== run) {
    run = state.run;
    last = 0;
    at("messages").replaceChildren();
  }
  ({ staff, buttons } = state);
  options(
    at("staff"),
    staff.filter((person) => person.answers).map((person) => [person.thing, person.name]),
  );
  const fresh = state.messages.filter((message) => message.id > last); // two looks may overlap
  last = Math.max(last, ...fresh.map((message) => message.id));
  showPeople();
  showButtons();
  show(fresh);
}

async function tell(path, document) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(document),
  });
  const got = await response.json();
  if (!response.ok) throw new Error(got.message);
  return got;
}

async function answer(text) {
  at("error").textContent = "";
  if (!text.trim() || !at("staff").value) return;
  try {
    await tell("/demo/say", { staff: at("staff").value, text });
  } catch (error) {
    at("error").textContent = error.message;
  }
  await look();
}

async function press(click) {
  const line = at("pressed");
  line.classList.remove("wrong");
  try {
    const got = await tell("/demo/press", { button: at("button").value, click });
    line.textContent = say.pressed(nameOf(got.thing), say.states[got.state]);
  } catch (error) {
    line.classList.add("wrong");
    line.textContent = error.message;
  }
  await look();
}

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value;
  at("text").value = "";
  answer(text);
});
at("text").addEventListener("keydown", (event) => {
  // The Enter that ends a conversion of an input method is not one that sends.
  if (event.key === "Enter" && (event.isComposing || event.keyCode === 229)) event.preventDefault();
});
at("staff").addEventListener("change", showPeople);
at("button").addEventListener("change", showButtons);
for (const button of document.querySelectorAll("[data-click]"))
  button.addEventListener("click", () => press(button.dataset.click));

for (;;) {
  await look();
  await new Promise((done) => setTimeout(done, EVERY_MS));
}
