import { onScopeDispose, ref, watch, type Ref } from "vue";

/** The size of an element in CSS pixels, as it changes. */
export function useSize(element: Readonly<Ref<HTMLElement | null>>) {
  const size = ref({ width: window.innerWidth, height: window.innerHeight });
  const observer = new ResizeObserver(([entry]) => {
    if (entry) size.value = { width: entry.contentRect.width, height: entry.contentRect.height };
  });
  watch(element, (now) => {
    observer.disconnect();
    if (now) observer.observe(now);
  });
  onScopeDispose(() => observer.disconnect());
  return size;
}
