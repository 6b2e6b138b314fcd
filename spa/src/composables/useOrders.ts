import { computed, onScopeDispose, ref, shallowRef, type Ref } from "vue";

import { isInbox, order, type Notice } from "../orders";
import type { Link } from "./useLink";

const NAMED_MS = 10_000;

/**
 * What this screen is told on its own topic.
 *
 * @param announced what its booth's shadow says to everybody.
 * @returns `texts` to be shown now, `named` while it is to say which screen it is, `mayReload` once it was told to.
 */
export function useOrders(link: Link, announced: () => Notice | null, now: Readonly<Ref<number>>) {
  const own = shallowRef<Notice | null>(null);
  const named = ref(false);
  const mayReload = ref(false);
  let timer: ReturnType<typeof setTimeout> | undefined;

  link.onMessage((topic, payload) => {
    const told = isInbox(topic) ? order(payload) : null;
    if (told?.do === "say") own.value = told;
    if (told?.do === "reload") mayReload.value = true;
    if (told?.do !== "identify") return;
    clearTimeout(timer);
    named.value = true;
    timer = setTimeout(() => (named.value = false), NAMED_MS);
  });
  onScopeDispose(() => clearTimeout(timer));

  const texts = computed(() => {
    const due = [announced(), own.value].filter((each) => each !== null && each.until > now.value);
    return [...new Set(due.map((each) => each?.text ?? ""))];
  });
  return { texts, named, mayReload };
}
