import { defineConfig } from "vitest/config";
import { fromSources } from "./vite.shared.js";

export default defineConfig({
  ...fromSources,
  ssr: { resolve: { conditions: ["avatar-ops-source"] } },
  test: {
    environment: "happy-dom",
    environmentOptions: { happyDOM: { settings: { fetch: { disableSameOriginPolicy: true } } } },
    include: ["*/test/**/*.test.{ts,tsx}", "test/**/*.test.ts"],
    silent: "passed-only",
    restoreMocks: true,
    unstubGlobals: true,
  },
});
