import { onScopeDispose } from "vue";

/** A key is a button, too: on a screen that may press, 1 to 9 touch the people, in the order in which they are shown. */
export function useKeys(): void {
  const hear = (event: KeyboardEvent) => {
    const { key, target, repeat, altKey, ctrlKey, metaKey } = event;
    const isTyped = target instanceof HTMLInputElement || altKey || ctrlKey || metaKey;
    if (repeat || isTyped || !/^[1-9]$/.test(key)) return; // who holds a key down presses once
    const people = document.querySelectorAll('[data-thing^="staff-"]');
    people[Number(key) - 1]?.querySelector<HTMLElement>("button.touch")?.click();
  };
  document.addEventListener("keydown", hear);
  onScopeDispose(() => document.removeEventListener("keydown", hear));
}
