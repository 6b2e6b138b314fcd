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

/** The booths, and "main", which is made with whoever is added first. */
export function boothOptions({ booths }: Now, words: AdminWords): Option[] {
  const there = booths.map(({ id, title }) => ({ value: id, label: title }));
  return booths.some(({ id }) => id === "main")
    ? there
    : [{ value: "main", label: `main (${words.newBooth})` }, ...there];
}

/** What is sent of a form: what is empty has its default. */
export const filled = (form: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(form).filter(([, value]) => value.trim() !== ""));
