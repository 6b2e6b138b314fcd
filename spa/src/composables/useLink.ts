import { onScopeDispose, readonly, ref, type Ref } from "vue";

import type { Way } from "../config";

/** One connection. */
export interface Session {
  get(thing: string): void;
  /** Hear of a machine, too. */
  listen(thing: string): void;
  ping(): void;
  end(): void;
}

/** What a connection tells. After `closed` nothing more counts. */
export interface SessionEvents {
  subscribed(): void;
  /** The service is there. */
  packet(): void;
  message(topic: string, payload: string): void;
  closed(): void;
}

export type Dial = (way: Way, on: SessionEvents) => Session;

/** The way to the shadows: `up` while connected and subscribed. */
export interface Link {
  readonly up: Readonly<Ref<boolean>>;
  get(thing: string): void;
  listen(thing: string): void;
  /** How many questions a second it takes. */
  rate(): number;
  /** Give this connection up for a new one: what it told may not be right any more. */
  renew(): void;
  onMessage(listener: (topic: string, payload: string) => void): void;
}

const LOOK_EVERY_MS = 500;
const QUIET_MS = 1000; // then we ping,
const PONG_MS = 2000; // and this later a silent server counts as gone: at most 4 s in all
const SUBSCRIBED_WITHIN_MS = 5000;

/**
 * The pause before the next try. It never grows: a visitor looks at this screen, and whoever was away for an hour has to be
 * back within 2 s, too. What is spread over a second are the screens of a full house.
 */
export const pauseMs = (random = Math.random()) => 300 + random * 900;

/** Keeps a connection for as long as the scope lives: finds out when it died, and makes a new one. */
export function useLink(currentWay: () => Promise<Way>, dial: Dial): Link {
  const up = ref(false);
  const listeners: ((topic: string, payload: string) => void)[] = [];
  let attempt = new AbortController(); // aborted when its connection, or the try to make one, is given up
  let session: Session | undefined;
  let rate = 100;
  let timer: ReturnType<typeof setTimeout> | undefined; // set while we pause
  let heardAt = 0;
  let dueAt = Infinity; // by when the server has to say something

  async function connect() {
    giveUp();
    const mine = (attempt = new AbortController());
    const ours = () => !mine.signal.aborted;
    try {
      const way = await currentWay();
      if (!ours()) return;
      rate = way.rate;
      dueAt = performance.now() + SUBSCRIBED_WITHIN_MS;
      session = dial(way, {
        subscribed: () => ours() && subscribed(),
        packet: () => ours() && packet(),
        message: (topic, payload) => ours() && listeners.forEach((hear) => hear(topic, payload)),
        closed: () => ours() && lost(),
      });
    } catch {
      if (ours()) lost();
    }
  }

  function subscribed() {
    up.value = true;
    packet();
  }

  function packet() {
    if (!up.value) return;
    heardAt = performance.now();
    dueAt = Infinity;
  }

  function giveUp() {
    attempt.abort();
    clearTimeout(timer);
    session?.end();
    [session, timer, dueAt] = [undefined, undefined, Infinity];
    up.value = false;
  }

  function lost() {
    giveUp();
    timer = setTimeout(() => void connect(), pauseMs());
  }

  function look() {
    const now = performance.now();
    if (now > dueAt) lost();
    else if (up.value && dueAt === Infinity && now - heardAt >= QUIET_MS) {
      dueAt = now + PONG_MS;
      session?.ping();
    }
  }

  function seen() {
    if (document.visibilityState !== "visible") return;
    if (timer !== undefined) void connect();
    else look();
  }

  const online = () => {
    if (!up.value) void connect();
  };

  const looking = setInterval(look, LOOK_EVERY_MS);
  window.addEventListener("online", online);
  window.addEventListener("offline", lost);
  document.addEventListener("visibilitychange", seen);
  void connect();

  onScopeDispose(() => {
    giveUp();
    clearInterval(looking);
    window.removeEventListener("online", online);
    window.removeEventListener("offline", lost);
    document.removeEventListener("visibilitychange", seen);
  });

  return {
    up: readonly(up),
    get: (thing) => session?.get(thing),
    listen: (thing) => session?.listen(thing),
    rate: () => rate,
    renew: () => void (up.value && lost()),
    onMessage: (listen) => void listeners.push(listen),
  };
}
