import { onScopeDispose } from "vue";

const AGAIN_MS = 10_000;

/** Keeps the screen on for as long as the scope lives: a browser takes the lock back whenever the page is not seen. */
export function useWakeLock() {
  let lock: WakeLockSentinel | undefined;
  let [isAsking, isOver] = [false, false];

  async function take() {
    if (!("wakeLock" in navigator) || isAsking || document.visibilityState !== "visible") return;
    if (lock && !lock.released) return;
    isAsking = true;
    try {
      lock = await navigator.wakeLock.request("screen");
      if (isOver) await lock.release();
    } catch {
      // the battery is low, perhaps: it is asked for again
    } finally {
      isAsking = false;
    }
  }

  const seen = () => void take();
  const again = setInterval(seen, AGAIN_MS);
  document.addEventListener("visibilitychange", seen);
  void take();
  onScopeDispose(() => {
    isOver = true;
    clearInterval(again);
    document.removeEventListener("visibilitychange", seen);
    void lock?.release();
  });
}
