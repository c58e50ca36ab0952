import type { UserConfig } from "vite";

/** Takes the packages of this workspace from their sources, so that nothing must be built before. */
export const fromSources: UserConfig = {
  resolve: { conditions: ["avatar-ops-source", "module", "browser", "development|production"] },
};

/** A package as it is published: one ES module, and what it loads only when it needs it. */
export function library(entry: Record<string, string>, external: RegExp): UserConfig {
  return {
    build: {
      lib: { entry, formats: ["es"] },
      target: "es2022",
      emptyOutDir: false,
      minify: false,
      rolldownOptions: { external: (id) => external.test(id) },
    },
  };
}
