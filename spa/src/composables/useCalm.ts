import { onScopeDispose, shallowRef, watch, type Ref } from "vue";

const EVERY_MS = 400;

/** What changes, at once while `live`; before that by and by: a wall of 200 that fills is not laid out 200 times. */
export function useCalm<T>(source: Readonly<Ref<T>>, live: Readonly<Ref<boolean>>): Readonly<Ref<T>> {
  const shown = shallowRef(source.value) as Ref<T>;
  let timer: ReturnType<typeof setTimeout> | undefined;
  function show() {
    clearTimeout(timer);
    timer = undefined;
    shown.value = source.value;
  }
  watch([source, live], () => {
    if (live.value) show();
    else timer ??= setTimeout(show, EVERY_MS);
  });
  onScopeDispose(() => clearTimeout(timer));
  return shown;
}
