import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { fromSources } from "../vite.shared.js";

// One file, in the repository, so that the console needs no Node.js. It has no HEIC decoder: an
// operator's HEIC is refused as the API refuses it.
export default defineConfig({
  ...fromSources,
  build: {
    lib: { entry: "src/avatar_upload.ts", formats: ["es"], fileName: () => "avatar_upload.js" },
    target: "es2022",
    minify: false,
    outDir: fileURLToPath(new URL("../../console/components", import.meta.url)),
    emptyOutDir: false,
    rolldownOptions: {
      external: /^heic-to/,
      experimental: { attachDebugInfo: "none" }, // else with paths that depend on where it is built
      output: { banner: "// Built from front-end/console/src by `make front-end`; changes here are lost." },
    },
  },
});
