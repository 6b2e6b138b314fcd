import { onScopeDispose, watch, type Ref } from "vue";

import { hasNewBuild, keepShell } from "../shell";

const LOOK_EVERY_MS = 60_000;
const QUIET_MS = 5000;

/** Keeps the page for bad times, and takes a new build of it, or loads it anew if it `isTold` to, when nobody needs the screen. */
export function useShell(
  live: Readonly<Ref<boolean>>,
  idle: Readonly<Ref<boolean>>,
  reload: () => void = () => location.reload(),
  isTold: () => boolean = () => false,
) {
  let [isKept, isNew, quietSince] = [false, false, performance.now()];

  async function keep() {
    isKept = true;
    await keepShell().catch(() => undefined);
    await look();
  }

  async function look() {
    try {
      isNew ||= await hasNewBuild();
    } catch {
      // not now: it is looked for again
    }
  }
  function take() {
    if (!live.value || !idle.value) quietSince = performance.now();
    else if ((isNew || isTold()) && performance.now() - quietSince >= QUIET_MS) reload();
  }

  const [looking, taking] = [setInterval(() => void look(), LOOK_EVERY_MS), setInterval(take, 1000)];
  // A server that was away may have come back as another. And what is kept is fetched after what is shown.
  watch(live, (now) => now && void (isKept ? look() : keep()));
  onScopeDispose(() => {
    clearInterval(looking);
    clearInterval(taking);
  });
}
