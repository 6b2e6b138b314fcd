import { inject, onScopeDispose, readonly, ref, shallowRef, type InjectionKey, type Ref, type ShallowRef } from "vue";

import { Refused, type Ask } from "./api";
import { entries, isNews, type Entry, type Now, type Person } from "./roster";
import type { AdminWords, Language } from "./words";

/** What every part of the page may use. */
export interface Admin {
  readonly words: AdminWords;
  readonly language: Language;
  readonly ask: Ask;
  readonly now: Readonly<ShallowRef<Now>>;
  readonly feed: Readonly<ShallowRef<readonly Entry[]>>;
  /** Ask anew how things are, at once. */
  readonly refresh: () => Promise<void>;
}

export const ADMIN: InjectionKey<Admin> = Symbol("admin");

export function useAdmin(): Admin {
  const admin = inject(ADMIN);
  if (!admin) throw new Error("This is a part of the admin's page.");
  return admin;
}

const EVERY_MS = 1000;
const SHARE = 10; // who has many people is asked more seldom: at most a tenth of the time goes into answers
const FEED = 100;

/** How things are, asked again and again while somebody looks; `lost` while the server does not answer. */
export function useNow(ask: Ask) {
  const now = shallowRef<Now | null>(null);
  const feed = shallowRef<readonly Entry[]>([]);
  const lost = ref(false);
  let reached = { row: -1, delivery: -1 };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let latest = 0; // of two answers that cross, the one that was asked for last counts
  let over = false;

  async function refresh() {
    clearTimeout(timer);
    const mine = (latest += 1);
    const began = performance.now();
    try {
      const { row, delivery } = reached;
      const came = await ask<Now>("GET", `now?row=${String(row)}&delivery=${String(delivery)}`);
      if (mine === latest) take(came);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (mine === latest) lost.value = true;
    }
    if (mine === latest) again(performance.now() - began);
  }

  function take(came: Now) {
    now.value = came;
    lost.value = false;
    const news = entries(came.rows, came.deliveries);
    if (news.length === 0) return;
    feed.value = [...feed.value, ...news.filter(isNews)].slice(-FEED);
    reached = {
      row: Math.max(reached.row, ...came.rows.map(({ n }) => n)),
      delivery: Math.max(reached.delivery, ...came.deliveries.map(({ n }) => n)),
    };
  }

  function again(tookMs: number) {
    if (over || document.visibilityState === "hidden") return;
    timer = setTimeout(() => void refresh(), Math.max(EVERY_MS, SHARE * tookMs));
  }

  const seen = () => {
    if (document.visibilityState !== "hidden") void refresh();
  };
  document.addEventListener("visibilitychange", seen);
  onScopeDispose(() => {
    over = true;
    latest += 1;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  });
  void refresh();
  return { now, feed, lost: readonly(lost), refresh };
}

/** One thing that is sent at a time: whether it is under way, what was wrong with it, and what came of it. */
export function useSending(words: AdminWords, refresh: () => Promise<void>) {
  const busy = ref(false);
  const wrong: Ref<{ field: string; message: string } | null> = ref(null);
  const said = ref<readonly string[]>([]);

  async function send(work: () => Promise<readonly string[]>): Promise<boolean> {
    if (busy.value) return false;
    [busy.value, wrong.value, said.value] = [true, null, []];
    try {
      said.value = await work();
      await refresh();
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      wrong.value = { field: error.field, message: error.message || words.unreached };
      return false;
    } finally {
      busy.value = false;
    }
  }
  return { busy, wrong, said, send };
}

export const byId = ({ staff }: Now) => new Map(staff.map((person): [string, Person] => [person.id, person]));

/** A moment where whoever looks on is: the time alone if it is today. */
export function moment(ms: number, language: Language, now: number): string {
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
  const day = { year: "numeric", month: "2-digit", day: "2-digit" } as const;
  const today = new Date(ms).toDateString() === new Date(now).toDateString();
  return new Intl.DateTimeFormat(language, today ? time : { ...day, ...time }).format(ms);
}
