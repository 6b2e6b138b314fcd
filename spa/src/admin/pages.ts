/** The pages, in the order of the navigation; each needs its word in `words.ts`, too. */
import type { Component } from "vue";

import BoothsPage from "./pages/BoothsPage.vue";
import ButtonsPage from "./pages/ButtonsPage.vue";
import FiguresPage from "./pages/FiguresPage.vue";
import HealthPage from "./pages/HealthPage.vue";
import HistoryPage from "./pages/HistoryPage.vue";
import MachinesPage from "./pages/MachinesPage.vue";
import NowPage from "./pages/NowPage.vue";
import RosterPage from "./pages/RosterPage.vue";
import ScreensPage from "./pages/ScreensPage.vue";
import StaffPage from "./pages/StaffPage.vue";
import type { AdminWords } from "./words";

export type PageId = keyof AdminWords["pages"];

export const PAGES: Readonly<Record<PageId, Component>> = {
  now: NowPage,
  staff: StaffPage,
  buttons: ButtonsPage,
  booths: BoothsPage,
  screens: ScreensPage,
  machines: MachinesPage,
  roster: RosterPage,
  figures: FiguresPage,
  health: HealthPage,
  history: HistoryPage,
};

export const pageOf = (hash: string): PageId => {
  const id = hash.replace(/^#\/?/, "");
  return Object.hasOwn(PAGES, id) ? (id as PageId) : "now";
};
