/** Every word that a screen says, one table a language. A screen fetches those that it speaks; `ja` and `en` are always here. */
import type { End, Look, Person } from "./staff";
import { tongue, type Spoken } from "./tongue";

export interface Words {
  /** What a tile says, to be read from five metres. */
  readonly look: Record<Look, string>;
  /** The same for a tile with no room. */
  readonly short: Record<Look, string>;
  /** A small line under an idle tile: how the last call ended. */
  readonly ending: Record<End, string>;
  readonly passedTo: (name: string) => string;
  readonly presses: (count: number) => string;
  /** Behind "on my way": when, as they said; 0 minutes once that has passed. */
  readonly arrives: (minutes: number) => string;
  readonly live: string;
  readonly lost: (asOf: string) => string;
  readonly connecting: string;
  readonly noBooth: (id: string) => string;
  readonly noBoothHow: string;
  readonly noStaff: string;
  readonly noStaffHow: string;
  readonly said: (name: string, what: string) => string;
  /** On a paired screen: what touching a tile does, taking that back, and that it did not go out. */
  readonly call: (name: string) => string;
  readonly cancel: string;
  readonly notSent: string;
  readonly pairing: string;
  readonly wrongCode: string;
}

const en: Words = {
  look: {
    idle: "Press the button to call",
    calling: "Calling…",
    running: "On my way",
    away: "Away right now",
    elsewhere: "Busy elsewhere",
    queued: "Busy elsewhere. Your call is waiting",
    passed: "Passed on",
    nobody: "Nobody could be reached. Please ask at the desk",
    unreached: "Slack unreachable, please ask at the desk",
  },
  short: {
    idle: "Ready",
    calling: "Calling…",
    running: "On my way",
    away: "Away",
    elsewhere: "Busy elsewhere",
    queued: "Busy, you wait",
    passed: "Passed on",
    nobody: "Ask at the desk",
    unreached: "Ask at the desk",
  },
  ending: {
    "": "",
    missed: "No answer",
    refused: "Cannot come",
    done: "Done. Thank you for waiting",
    ended: "The call has ended",
    cancelled: "Call cancelled",
    unavailable: "Not available",
    expired: "The call has expired",
  },
  passedTo: (name) => `Passed to ${name}`,
  presses: (count) => `pressed ${String(count)} times`,
  arrives: (minutes) => (minutes ? `in ${String(minutes)} min` : "any moment now"),
  live: "Live",
  lost: (asOf) => `No connection. This is how things stood at ${asOf}.`,
  connecting: "Connecting to the server…",
  noBooth: (id) => `Booth “${id}” does not exist yet`,
  noBoothHow: "It appears here as soon as it is made:",
  noStaff: "Nobody is on this booth's list yet",
  noStaffHow: "Whoever is added appears here at once:",
  said: (name, what) => `${name}: ${what}`,
  call: (name) => `Call ${name}`,
  cancel: "Cancel",
  notSent: "The call did not go out. Please ask at the desk",
  pairing: "Code for this screen",
  wrongCode: "This code is wrong, or too old",
};

const ja: Words = {
  look: {
    idle: "ボタンでお呼びください",
    calling: "呼び出し中",
    running: "向かっています",
    away: "ただいま席を外しています",
    elsewhere: "ほかの窓口で対応中",
    queued: "ほかの窓口で対応中。順番にうかがいます",
    passed: "引き継ぎました",
    nobody: "担当者につながりません。受付でおたずねください",
    unreached: "Slackにつながりません。受付でおたずねください",
  },
  short: {
    idle: "呼び出せます",
    calling: "呼び出し中",
    running: "向かっています",
    away: "離席中",
    elsewhere: "対応中",
    queued: "順番待ち",
    passed: "引き継ぎ",
    nobody: "受付へどうぞ",
    unreached: "受付へどうぞ",
  },
  ending: {
    "": "",
    missed: "応答がありませんでした",
    refused: "うかがえません",
    done: "対応が終わりました",
    ended: "呼び出しは終了しました",
    cancelled: "呼び出しを取り消しました",
    unavailable: "対応できません",
    expired: "呼び出しは期限切れです",
  },
  passedTo: (name) => `${name} に引き継ぎました`,
  presses: (count) => `${String(count)}回目の呼び出し`,
  arrives: (minutes) => (minutes ? `あと${String(minutes)}分` : "まもなく"),
  live: "接続中",
  lost: (asOf) => `通信が切れています。${asOf} 時点の表示です。`,
  connecting: "サーバーに接続しています…",
  noBooth: (id) => `窓口「${id}」はまだありません`,
  noBoothHow: "登録されると、すぐここに表示されます。",
  noStaff: "この窓口の担当者はまだ登録されていません",
  noStaffHow: "登録されると、すぐここに表示されます。",
  said: (name, what) => `${name}、${what}`,
  call: (name) => `${name} を呼び出す`,
  cancel: "取り消す",
  notSent: "呼び出せませんでした。受付でおたずねください",
  pairing: "この画面のコード",
  wrongCode: "コードが違うか、期限切れです",
};

/** What a tile says of somebody. */
export const sentence = (words: Words, { call }: Person, look: Look, nameOf: (thing: string) => string) =>
  look === "passed" ? words.passedTo(nameOf(call.to)) : words.look[look];

export const HERE = { ja, en } as const;

const FETCHED = {
  zh: () => import("./tongues/zh"),
  "zh-Hant": () => import("./tongues/zh-Hant"),
  ko: () => import("./tongues/ko"),
  de: () => import("./tongues/de"),
  fr: () => import("./tongues/fr"),
  es: () => import("./tongues/es"),
  it: () => import("./tongues/it"),
  pt: () => import("./tongues/pt"),
  nl: () => import("./tongues/nl"),
  vi: () => import("./tongues/vi"),
  th: () => import("./tongues/th"),
  id: () => import("./tongues/id"),
} satisfies Record<string, () => Promise<{ default: Spoken }>>;

export type Language = keyof typeof HERE | keyof typeof FETCHED;
export const LANGUAGES = [...Object.keys(HERE), ...Object.keys(FETCHED)] as readonly Language[];

const isHere = (language: Language) => Object.hasOwn(HERE, language);
export const isReviewed = isHere;

/** @throws {Error} if the language cannot be fetched. */
export const wordsOf = async (language: Language): Promise<Words> =>
  isHere(language)
    ? HERE[language as keyof typeof HERE]
    : tongue((await FETCHED[language as keyof typeof FETCHED]()).default);

/** One language, or two side by side. */
export type Languages = readonly [Language, Language?];

/** The languages asked for in the address, such as `de` or `de,en`; else Japanese and English. */
export function languages(asked: string | null): Languages {
  const [first, second] = new Set(
    (asked ?? "")
      .split(",")
      .map(known)
      .filter((each) => each !== undefined),
  );
  if (!first) return ["ja", "en"];
  return second ? [first, second] : [first];
}

/** By its tag; `de-AT` is `de`. */
function known(tag: string): Language | undefined {
  const plain = tag.trim().toLowerCase();
  if (/^zh-(hant|tw|hk|mo)/.test(plain)) return "zh-Hant";
  const base = plain.split("-")[0] ?? "";
  return LANGUAGES.find((each) => each === base);
}
