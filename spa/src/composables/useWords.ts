import { inject, type InjectionKey } from "vue";

import { HERE, wordsOf, type Language, type Languages, type Words } from "../words";

export interface Tongue {
  /** A tag, as HTML has it. */
  readonly lang: Language;
  readonly words: Words;
}

export type Tongues = readonly [Tongue, Tongue?];

export const TONGUES: InjectionKey<Tongues> = Symbol("tongues");

const ENGLISH: Tongue = { lang: "en", words: HERE.en };
const FETCHED_WITHIN_MS = 3000;

async function tongueOf(lang: Language): Promise<Tongue> {
  const late = new Promise<Tongue>((done) => setTimeout(() => done(ENGLISH), FETCHED_WITHIN_MS));
  const fetched = wordsOf(lang).then((words) => ({ lang, words }));
  return Promise.race([fetched, late]).catch(() => ENGLISH); // a call has to show in any language
}

/** Those asked for; English in place of what cannot be fetched. */
export async function tonguesOf(languages: Languages): Promise<Tongues> {
  const found = await Promise.all(languages.map((each) => each && tongueOf(each)));
  const [first = ENGLISH, second] = found.filter((each) => each !== undefined);
  return second && second.lang !== first.lang ? [first, second] : [first];
}

/** What the screen speaks: one language, or two side by side. */
export const useTongues = (): Tongues => inject(TONGUES, () => [ENGLISH] as const, true);
/** The first of them. */
export const useWords = (): Words => useTongues()[0].words;

/** The same in each language, with what is the same in both said once. */
export const inEach = (tongues: Tongues, say: (words: Words) => string): string =>
  [...new Set(tongues.flatMap((each) => (each ? say(each.words) : [])))].filter(Boolean).join(" · ");
