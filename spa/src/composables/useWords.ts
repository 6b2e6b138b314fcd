import { inject, type InjectionKey } from "vue";

import { LANGUAGES, type Words } from "../words";

export const WORDS: InjectionKey<Words> = Symbol("words");
export const useWords = (): Words => inject(WORDS, LANGUAGES.ja);
