import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { fromSources } from "../vite.shared.js";

export default defineConfig({
  ...fromSources,
  plugins: [react()],
  build: { target: "es2022", chunkSizeWarningLimit: 3500 },
});
