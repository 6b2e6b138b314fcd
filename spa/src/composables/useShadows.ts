import { computed, onScopeDispose, ref, shallowReactive, shallowReadonly, watch } from "vue";

import { createAsking } from "../asking";
import { booth, isBoothId, isStaff, wanted } from "../booth";
import { isMachine } from "../machine";
import { forgotten, heard, settled, type Heard, type Shadow } from "../shadow";
import { passedOn, person, together, type Person } from "../staff";
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
  const said = shallowReactive(new Map<string, Shadow>()); // by machines: apart, as they speak every second
  const answered = shallowReactive(new Set<string>()); // since the link came up
  let open = new Set<string>(); // people who are needed, and not answered yet
  const listening = new Set<string>(); // machines, since the link came up
  const asking = createAsking((thing) => link.get(thing), link.rate);
  const live = ref(false);

  const boothNow = computed(() => {
    const shadow = shadows.get(thingOfBooth);
    return shadow && booth(shadow);
  });
  const known = computed(() => {
    const staff = [...shadows].filter(([thing]) => isStaff(thing));
    return new Map(staff.map(([thing, shadow]) => [thing, readOnce(thing, shadow)]));
  });
  const people = computed(() => together(passedOn(known.value)));
  const missing = computed(() => new Set([...answered].filter((thing) => !shadows.has(thing))));

  function take(news: Heard) {
    onTime(news.at);
    if (news.kind === "refused") refused(news.thing, news.code);
    else {
      const map = isMachine(news.thing) ? said : shadows;
      const shadow = settled(map.get(news.thing), news);
      if (shadow) map.set(news.thing, shadow);
      if (news.kind === "document") {
        settle(news.thing);
        if (shadow && isOneOfMany(news.thing, shadow)) return;
      }
    }
    review();
  }

  /** An answer among others that are still out, about somebody who brings nobody along: 200 reviews of 200 take their time. */
  function isOneOfMany(thing: string, shadow: Shadow) {
    return open.delete(thing) && open.size > 0 && wanted(id, [], [readOnce(thing, shadow)]).size === 0;
  }

  function refused(thing: string, code: number) {
    if (code === 404) [shadows, said].forEach((map) => map.delete(thing));
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
    for (const { thing } of boothNow.value?.machines ?? []) {
      needed.add(thing);
      if (!listening.has(thing)) link.listen(thing);
      listening.add(thing);
    }
    for (const thing of [...shadows.keys(), ...answered]) {
      if (needed.has(thing) || thing === thingOfBooth) continue;
      said.delete(thing);
      shadows.delete(thing); // should they come back, their shadow may be another one
      answered.delete(thing);
    }
    const asked = [...needed].filter((thing) => !answered.has(thing));
    asking.ask(asked);
    open = new Set(asked.filter((thing) => !isMachine(thing))); // a machine holds up no call
    live.value ||= link.up.value && open.size === 0 && answered.has(thingOfBooth);
  }

  function start() {
    for (const map of [shadows, said]) map.forEach((shadow, thing) => map.set(thing, forgotten(shadow)));
    if (isBoothId(id)) asking.ask([thingOfBooth]);
    else settle(thingOfBooth); // no such booth can be
    review();
  }

  function stop() {
    live.value = false;
    asking.stop();
    answered.clear();
    listening.clear();
  }

  link.onMessage((topic, payload) => {
    const news = heard(topic, payload);
    if (news && (news.thing === thingOfBooth || isStaff(news.thing) || listening.has(news.thing))) take(news);
  });
  watch(link.up, (up) => (up ? start() : stop()), { immediate: true, flush: "sync" });
  onScopeDispose(stop);

  return { live, missing, booth: boothNow, people, shadows: shallowReadonly(shadows), said: shallowReadonly(said) };
}

/** One reading a shadow: a tile whose shadow did not change is handed the same person, and stays as it is. */
const readings = new WeakMap<Shadow, Person>();
function readOnce(thing: string, shadow: Shadow): Person {
  const reading = readings.get(shadow) ?? person(thing, shadow);
  readings.set(shadow, reading);
  return reading;
}
