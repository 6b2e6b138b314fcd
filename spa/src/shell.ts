/** The page itself: kept in the browser for when the server is away, and which build of it the server has. */

import { languages } from "./words";

const SHELF = "staffcall"; // public/sw.js takes from there
const ASSET = /assets\/[\w.-]+/g;

/** Names of the files of a build: each has its content's hash in it. */
export const assetsOf = (html: string) => [...new Set(html.match(ASSET) ?? [])].sort();

const TONGUE = /^assets\/tongue-(.+)-.{8}\.js$/;

/** Those of a page that this screen needs: the page names every language, and a screen speaks two. */
const needed = (html: string) => {
  const spoken = new Set<string | undefined>(languages(new URLSearchParams(location.search).get("lang")));
  return assetsOf(html).filter((asset) => spoken.has(TONGUE.exec(asset)?.[1] ?? asset) || !TONGUE.test(asset));
};

/** What this page was made of; nothing under a development server. */
const ours = () => assetsOf(document.head.innerHTML + document.body.innerHTML);

/** Let the page come also while the server is away, where the browser allows it: over https, or on this machine. */
export async function keepShell(): Promise<void> {
  if (!("caches" in window) || ours().length === 0) return;
  await navigator.serviceWorker.register("sw.js");
  await shelve(await fetch("./", { cache: "no-store" }));
}

/** Whether the server has another build, which is here now, whole. */
export async function hasNewBuild(): Promise<boolean> {
  if (ours().length === 0) return false;
  const page = await fetch("./", { cache: "no-store" });
  if (!page.ok) return false;
  const assets = assetsOf(await page.clone().text());
  if (assets.length === 0 || assets.join() === ours().join()) return false;
  await shelve(page);
  return true;
}

async function shelve(page: Response) {
  if (!page.ok) throw new Error(`page: ${String(page.status)}`);
  const assets = needed(await page.clone().text());
  if (!("caches" in window)) {
    const answers = await Promise.all(assets.map((asset) => fetch(asset)));
    if (!answers.every(({ ok }) => ok)) throw new Error("assets: not all there");
    return;
  }
  const shelf = await caches.open(SHELF);
  await shelf.addAll([...assets, "brand.css", "favicon.svg"]);
  await shelf.put("./", page); // last: a page on the shelf has all that it needs beside it
  const old = (await shelf.keys()).filter(({ url }) => (url.match(ASSET) ?? []).some((name) => !assets.includes(name)));
  await Promise.all(old.map((request) => shelf.delete(request)));
}
