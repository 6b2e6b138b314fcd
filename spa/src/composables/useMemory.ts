import { onScopeDispose, type Ref } from "vue";

import { remember, type Memory } from "../memory";

const EVERY_MS = 2000;

/** Keeps what a booth's screen knows, for as long as it is sure of it. */
export function useMemory(booth: string, live: Readonly<Ref<boolean>>, known: () => Memory) {
  let kept = "";
  function keep() {
    const memory = known();
    const mark = [...memory.shadows].map(([thing, { version }]) => `${thing} ${String(version)}`).join();
    const minute = Math.floor(memory.at / 60_000); // an age needs no more, and a disk has only so many writes
    if (!live.value || kept === `${mark} ${String(minute)}`) return;
    kept = `${mark} ${String(minute)}`;
    remember(booth, memory);
  }
  const leaving = () => {
    kept = "";
    keep();
  };
  const keeping = setInterval(keep, EVERY_MS);
  window.addEventListener("pagehide", leaving);
  onScopeDispose(() => {
    clearInterval(keeping);
    window.removeEventListener("pagehide", leaving);
  });
}
