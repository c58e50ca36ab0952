import { library } from "../vite.shared.js";

export default library({ index: "src/index.ts" }, /^heic-to/);
