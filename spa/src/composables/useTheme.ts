import { onScopeDispose } from "vue";

/** Light or dark, as the address says, else as this machine likes it. */
export function useTheme(asked: string | null) {
  const likesDark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const own = likesDark.matches ? "dark" : "light";
    document.documentElement.dataset["theme"] = asked === "light" || asked === "dark" ? asked : own;
  };
  likesDark.addEventListener("change", show);
  onScopeDispose(() => likesDark.removeEventListener("change", show));
  show();
}
