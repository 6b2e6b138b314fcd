import { inject, type InjectionKey } from "vue";

import { LANGUAGES, type Language, type Languages, type Words } from "../words";

export interface Tongue {
  /** A tag, as HTML has it. */
  readonly lang: Language;
  readonly words: Words;
}

export type Tongues = readonly [Tongue, Tongue?];

export const TONGUES: InjectionKey<Tongues> = Symbol("tongues");

const tongue = (lang: Language): Tongue => ({ lang, words: LANGUAGES[lang] });
export const tonguesOf = ([first, second]: Languages): Tongues =>
  second ? [tongue(first), tongue(second)] : [tongue(first)];

/** What the screen speaks: one language, or two side by side. */
export const useTongues = (): Tongues => inject(TONGUES, () => tonguesOf(["ja"]), true);
/** The first of them. */
export const useWords = (): Words => useTongues()[0].words;

/** The same in each language, with what is the same in both said once. */
export const inEach = (tongues: Tongues, say: (words: Words) => string): string =>
  [...new Set(tongues.flatMap((each) => (each ? say(each.words) : [])))].filter(Boolean).join(" · ");
