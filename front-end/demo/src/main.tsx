import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "@avatar-ops/react/styles.css";
import "./demo.css";
import { App } from "./App.js";

createRoot(document.getElementById("app")!).render(<StrictMode><App /></StrictMode>);
