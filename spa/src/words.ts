/** Every word that a screen says, one table a language. */
import type { End, Look, Person } from "./staff";

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
};

/** What a tile says of somebody. */
export const sentence = (words: Words, { call }: Person, look: Look, nameOf: (thing: string) => string) =>
  look === "passed" ? words.passedTo(nameOf(call.to)) : words.look[look];

export const LANGUAGES = { ja, en } as const;
export type Language = keyof typeof LANGUAGES;

/** The language asked for in the address, else the browser's, else Japanese. */
export function language(asked: string | null, browser: readonly string[]): Language {
  const known = [asked ?? "", ...browser].map((tag) => tag.toLowerCase().split("-")[0]).find(isLanguage);
  return known ?? "ja";
}

const isLanguage = (tag: string | undefined): tag is Language => tag !== undefined && Object.hasOwn(LANGUAGES, tag);
