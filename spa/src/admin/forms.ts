/** What the forms begin with, and what may be chosen in them. Pure. */
import type { Now } from "./roster";
import type { AdminWords } from "./words";

export interface Option {
  readonly value: string;
  readonly label: string;
}

/** Somebody new, at the same booth as the last one. */
export const newcomer = (booth = "main") => ({
  name: "",
  slack: "",
  role: "",
  phone: "",
  mail: "",
  line: "",
  backup: "",
  booth,
});

export const newButton = (id = "") => ({ id, staff: "", double: "", long: "", booth: "" });

export const newMachine = (booth: string) => ({ id: "", name: "", booth, every: "1", values: "" });

/** The unit of each figure, as somebody types them: `temperature=°C, parts`. */
export const unitsOf = (typed: string) =>
  Object.fromEntries(
    typed
      .split(/[,、\n]/)
      .map((each) => each.trim())
      .filter(Boolean)
      .map((each) => each.split("=").map((part) => part.trim()))
      .map(([value = "", ...unit]) => [value, unit.join("=")]),
  );

/** Everybody but one; `otherwise` is what nobody is called. */
export const staffOptions = ({ staff }: Now, otherwise: string, but = ""): Option[] => [
  { value: "", label: otherwise },
  ...staff.filter(({ id }) => id !== but).map(({ id, name }) => ({ value: id, label: name || id })),
];

/** How a button calls several people: each way as the server writes it in front of them. */
export const waysOf = (words: AdminWords): Option[] => [
  { value: "all:", label: words.together },
  { value: "turn:", label: words.inTurn },
  { value: "free:", label: words.firstFree },
];
export const isWay = (value: string) => /^(all|turn|free):$/.test(value);

export const boothsThere = ({ booths }: Now): Option[] => booths.map(({ id, title }) => ({ value: id, label: title }));

/** The booths, and "main", which is made with whoever is added first. */
export function boothOptions(now: Now, words: AdminWords): Option[] {
  const there = boothsThere(now);
  return now.booths.some(({ id }) => id === "main")
    ? there
    : [{ value: "main", label: `main (${words.newBooth})` }, ...there];
}

/** What is sent of a form: what is empty has its default. */
export const filled = (form: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(form).filter(([, value]) => value.trim() !== ""));
