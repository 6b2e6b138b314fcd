import { inject, onScopeDispose, readonly, ref, type InjectionKey, type Ref } from "vue";

import { narrowed, serverTime, UNKNOWN } from "../clock";

/** The server's time in milliseconds, moving once a second. */
export type Now = Readonly<Ref<number>>;

export const NOW: InjectionKey<Now> = Symbol("now");
export const useNow = (): Now => inject(NOW, () => ref(Date.now()), true);

const TICK_MS = 250;

/** A clock that is set by each message that it `hears`. */
export function useClock() {
  let offset = UNKNOWN;
  const now = ref(0);
  const tick = () => (now.value = Math.floor(serverTime(offset, Date.now()) / 1000) * 1000);
  const hear = (at: number) => {
    offset = narrowed(offset, at, Date.now());
    tick();
  };
  const ticking = setInterval(tick, TICK_MS);
  onScopeDispose(() => clearInterval(ticking));
  tick();
  return { now: readonly(now), hear };
}
