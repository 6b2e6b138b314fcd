import { computed, onScopeDispose, ref, shallowReactive, shallowReadonly, watch } from "vue";

import { createAsking } from "../asking";
import { booth, isBoothId, isStaff, wanted } from "../booth";
import { forgotten, heard, settled, type Heard, type Shadow } from "../shadow";
import { person, together, type Person } from "../staff";
import type { Link } from "./useLink";

/**
 * The shadows that a booth's screen needs, kept up to date over a link.
 *
 * @param onTime hears the server's clock of every message, in seconds.
 * @param before what this screen knew when it was last here.
 * @returns `live` once all are known, until the link breaks; `missing` are the things that the service does not know.
 */
export function useShadows(
  link: Link,
  id: string,
  onTime: (at: number) => void = () => undefined,
  before: ReadonlyMap<string, Shadow> = new Map(),
) {
  const thingOfBooth = `booth-${id}`;
  const shadows = shallowReactive(new Map(before));
  const answered = shallowReactive(new Set<string>()); // since the link came up
  const asking = createAsking((thing) => link.get(thing), link.rate);
  const live = ref(false);

  const boothNow = computed(() => {
    const shadow = shadows.get(thingOfBooth);
    return shadow && booth(shadow);
  });
  const known = computed(() => {
    const staff = [...shadows].filter(([thing]) => thing !== thingOfBooth);
    return new Map(staff.map(([thing, shadow]) => [thing, readOnce(thing, shadow)]));
  });
  const people = computed(() => together(known.value));
  const missing = computed(() => new Set([...answered].filter((thing) => !shadows.has(thing))));

  function take(news: Heard) {
    onTime(news.at);
    if (news.kind === "refused") refused(news.thing, news.code);
    else {
      const shadow = settled(shadows.get(news.thing), news);
      if (shadow) shadows.set(news.thing, shadow);
      if (news.kind === "document") settle(news.thing);
    }
    review();
  }

  function refused(thing: string, code: number) {
    if (code === 404) shadows.delete(thing);
    if (code === 404) settle(thing);
    else asking.again(thing);
    if (code !== 429) answered.add(thing); // one shadow that cannot be read does not hold up the others
  }

  function settle(thing: string) {
    answered.add(thing);
    asking.answered(thing);
  }

  /** After each message: whom do we need now, whom no longer, and do we know all of them? */
  function review() {
    const needed = wanted(id, boothNow.value?.staff ?? [], known.value.values());
    for (const thing of [...shadows.keys(), ...answered]) {
      if (needed.has(thing) || thing === thingOfBooth) continue;
      shadows.delete(thing); // should they come back, their shadow may be another one
      answered.delete(thing);
    }
    const open = [...needed].filter((thing) => !answered.has(thing));
    asking.ask(open);
    live.value ||= link.up.value && open.length === 0 && answered.has(thingOfBooth);
  }

  function start() {
    for (const [thing, shadow] of shadows) shadows.set(thing, forgotten(shadow));
    if (isBoothId(id)) asking.ask([thingOfBooth]);
    else settle(thingOfBooth); // no such booth can be
    review();
  }

  function stop() {
    live.value = false;
    asking.stop();
    answered.clear();
  }

  link.onMessage((topic, payload) => {
    const news = heard(topic, payload);
    if (news && (news.thing === thingOfBooth || isStaff(news.thing))) take(news);
  });
  watch(link.up, (up) => (up ? start() : stop()), { immediate: true, flush: "sync" });
  onScopeDispose(stop);

  return { live, missing, booth: boothNow, people, shadows: shallowReadonly(shadows) };
}

/** One reading a shadow: a tile whose shadow did not change is handed the same person, and stays as it is. */
const readings = new WeakMap<Shadow, Person>();
function readOnce(thing: string, shadow: Shadow): Person {
  const reading = readings.get(shadow) ?? person(thing, shadow);
  readings.set(shadow, reading);
  return reading;
}
