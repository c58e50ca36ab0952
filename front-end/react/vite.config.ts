import { library } from "../vite.shared.js";

export default library({ index: "src/index.ts" }, /^(react|react-dom|react-easy-crop|@avatar-ops\/client)(\/|$)/);
