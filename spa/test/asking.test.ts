import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { backOffMs, createAsking, spreadMs } from "../src/asking";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ids = (count: number) => Array.from({ length: count }, (_, index) => `staff-${String(index)}`);

function asked() {
  const gets: string[] = [];
  return { gets, asking: createAsking((thing) => gets.push(thing)) };
}

it("a small booth is asked for at once, a large one within 2 s", () => {
  expect([1, 8].map((count) => spreadMs(count, 100))).toEqual([0, 0]);
  expect(spreadMs(12, 100)).toBeLessThan(200);
  expect([200, 1000].map((count) => spreadMs(count, 100))).toEqual([2000, 2000]);
  expect(spreadMs(200, 1000)).toBe(200);
});

it("at most 8 questions are open, and each answer lets the next one go", () => {
  const { gets, asking } = asked();
  asking.ask(ids(20));
  vi.advanceTimersByTime(2000);
  expect(gets).toHaveLength(8);
  asking.answered(gets[0] as string);
  expect(gets).toHaveLength(9);
  for (let index = 1; index < 20; index += 1) asking.answered(gets[index] as string);
  expect(new Set(gets).size).toBe(20);
});

it("what another screen was told is not asked", () => {
  const { gets, asking } = asked();
  asking.ask(ids(2));
  asking.answered("staff-0");
  vi.advanceTimersByTime(100);
  expect(gets).toEqual(["staff-1"]);
});

it("a question is not asked twice while it is open", () => {
  const { gets, asking } = asked();
  asking.ask(["staff-0"]);
  asking.ask(["staff-0"]);
  vi.advanceTimersByTime(100);
  expect(gets).toEqual(["staff-0"]);
});

it("without an answer it is asked again", () => {
  const { gets, asking } = asked();
  asking.ask(["staff-0"]);
  vi.advanceTimersByTime(3500);
  expect(gets).toHaveLength(2);
});

it("a busy service is asked again, later each time, and never later than 8 s", () => {
  const { gets, asking } = asked();
  asking.ask(["staff-0"]);
  vi.advanceTimersByTime(0);
  asking.again("staff-0");
  asking.again("staff-0"); // the refusal of another screen's question, meanwhile
  vi.advanceTimersByTime(100);
  expect(gets).toHaveLength(1);
  vi.advanceTimersByTime(200);
  expect(gets).toHaveLength(2);
  for (const [tries, least] of [
    [2, 250],
    [3, 500],
  ] as const) {
    asking.again("staff-0");
    vi.advanceTimersByTime(least - 1);
    expect(gets).toHaveLength(tries);
    vi.advanceTimersByTime(least + 1);
    expect(gets).toHaveLength(tries + 1);
  }
  expect([0, 1, 2, 20].map((tries) => backOffMs(tries, 1))).toEqual([250, 500, 1000, 8000]);
  expect(backOffMs(0, 0)).toBe(125);
});

it("nothing is asked after a stop", () => {
  const { gets, asking } = asked();
  asking.ask(ids(20));
  asking.stop();
  vi.advanceTimersByTime(60_000);
  expect(gets).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
