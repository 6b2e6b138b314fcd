// @vitest-environment happy-dom
import { afterEach, expect, it, vi } from "vitest";
import { effectScope } from "vue";

import { useWakeLock } from "../src/composables/useWakeLock";

afterEach(() => {
  vi.useRealTimers();
  Reflect.deleteProperty(navigator, "wakeLock");
});

it("takes the lock, and takes it again whenever it was lost, until the page is left", async () => {
  vi.useFakeTimers();
  const locks: { released: boolean; release: () => Promise<void> }[] = [];
  const request = vi.fn(() => {
    const lock = { released: false, release: () => Promise.resolve(void (lock.released = true)) };
    locks.push(lock);
    return Promise.resolve(lock);
  });
  Object.defineProperty(navigator, "wakeLock", { value: { request }, configurable: true });
  const scope = effectScope();
  scope.run(useWakeLock);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(request).toHaveBeenCalledTimes(1);
  await locks[0]?.release();
  document.dispatchEvent(new Event("visibilitychange"));
  await vi.advanceTimersByTimeAsync(0);
  expect(request).toHaveBeenCalledTimes(2);
  request.mockRejectedValueOnce(new Error("low battery"));
  await locks[1]?.release();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(locks.map(({ released }) => released)).toEqual([true, true, false]);
  scope.stop();
  expect(locks.every(({ released }) => released)).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});
