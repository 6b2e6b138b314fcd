import { inject, onScopeDispose, readonly, ref, type InjectionKey, type Ref } from "vue";

import { narrowed, serverTime, shifted, UNKNOWN } from "../clock";

/** The server's time in milliseconds, moving once a second. */
export type Now = Readonly<Ref<number>>;

export const NOW: InjectionKey<Now> = Symbol("now");
export const useNow = (): Now => inject(NOW, () => ref(Date.now()), true);

const TICK_MS = 250;
const STEADY_MS = 1000;

/**
 * A clock that is set by each message that it `hears`.
 *
 * @param onJump is told that somebody set this machine's clock, or that it slept: what the screen says of time may be wrong.
 */
export function useClock(onJump: () => void = () => undefined) {
  let offset = UNKNOWN;
  let apart = Date.now() - performance.now(); // the same for as long as nobody sets the clock
  const now = ref(0);
  const tick = () => (now.value = Math.floor(serverTime(offset, Date.now()) / 1000) * 1000);
  const hear = (at: number) => {
    offset = narrowed(offset, at, Date.now());
    tick();
  };
  const look = () => {
    const jump = Date.now() - performance.now() - apart;
    if (Math.abs(jump) > STEADY_MS) {
      apart += jump;
      if (jump < 0) offset = shifted(offset, jump); // forward it may have slept, and so much time has really passed
      onJump();
    }
    tick();
  };
  const ticking = setInterval(look, TICK_MS);
  onScopeDispose(() => clearInterval(ticking));
  tick();
  return { now: readonly(now), hear };
}
