import { computed, onScopeDispose, ref, shallowReactive, type InjectionKey, inject } from "vue";

import { cancel, press, tokenOf, type Touched } from "../pairing";

const UNDO_MS = 15_000;
const FAILED_MS = 10_000;

/** What touching a tile does here: nothing, unless the screen is paired. */
export interface Touch {
  readonly may: boolean;
  call(thing: string): void;
  undo(thing: string): void;
  /** Whether a call of this screen's can still be taken back. */
  canUndo(thing: string): boolean;
  isSending(thing: string): boolean;
  hasFailed(thing: string): boolean;
}

export const TOUCH: InjectionKey<Touch> = Symbol("touch");
const NONE: Touch = {
  may: false,
  call: () => undefined,
  undo: () => undefined,
  canUndo: () => false,
  isSending: () => false,
  hasFailed: () => false,
};
export const useTouched = (): Touch => inject(TOUCH, NONE);

export function useTouch(booth: string) {
  const token = ref(tokenOf(booth));
  const sending = shallowReactive(new Set<string>());
  const failed = shallowReactive(new Set<string>());
  const mine = shallowReactive(new Map<string, Touched>()); // by who has the call
  const timers = new Set<ReturnType<typeof setTimeout>>();

  function later(ms: number, work: () => void) {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, ms);
    timers.add(timer);
  }

  async function send(thing: string, work: () => Promise<void>) {
    if (sending.has(thing)) return; // a finger that trembles
    sending.add(thing);
    failed.delete(thing);
    try {
      await work();
    } catch {
      failed.add(thing);
      later(FAILED_MS, () => failed.delete(thing));
    } finally {
      sending.delete(thing);
      token.value = tokenOf(booth); // it may have been revoked
    }
  }

  const call = (thing: string) =>
    void send(thing, async () => {
      const touched = await press(booth, thing.replace(/^staff-/, ""), newId());
      mine.set(touched.thing, touched);
      later(UNDO_MS, () => mine.get(touched.thing) === touched && mine.delete(touched.thing));
    });

  const undo = (thing: string) =>
    void send(thing, async () => {
      const touched = mine.get(thing);
      if (touched) await cancel(booth, touched);
      mine.delete(thing);
    });

  onScopeDispose(() => timers.forEach((timer) => clearTimeout(timer)));
  const may = computed(() => token.value !== "");
  const touch: Touch = {
    get may() {
      return may.value;
    },
    call,
    undo,
    canUndo: (thing) => mine.has(thing),
    isSending: (thing) => sending.has(thing),
    hasFailed: (thing) => failed.has(thing),
  };
  return { touch, paired: () => (token.value = tokenOf(booth)) };
}

/** 128 random bits; `crypto.randomUUID` is there only over https. */
const newId = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
