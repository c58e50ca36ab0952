// Longer than a look at another tab takes
const HIDDEN_AFTER = 10_000;
const EDITED = "input, textarea, select, [contenteditable]";
const PHONE = "(max-width: 768px)"; // where Streamlit has the sidebar cover the page
let toldHidden = false;
let shown = 0;

/**
 * Leads to the sidebar's field Find by "/", and on a phone from there to what was found. Tells the
 * server when the tab has been hidden for a while, so that it draws nothing for nobody, and when it is
 * seen again. `data.found` is how often something was looked for.
 */
export default function ({ data, setStateValue }) {
  let waits;
  if (data.found > shown && matchMedia(PHONE).matches)
    document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
  shown = data.found;
  const tell = () => {
    toldHidden = document.hidden;
    setStateValue("hidden", toldHidden);
  };
  const seenOrNot = () => {
    clearTimeout(waits);
    if (document.hidden === toldHidden) return;
    if (document.hidden) waits = setTimeout(tell, HIDDEN_AFTER);
    else tell();
  };
  const pressed = (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest(EDITED)) return;
    event.preventDefault();
    document.querySelector('[data-testid="stExpandSidebarButton"]')?.click();
    document.querySelector('input[aria-label="Find anything"]')?.focus();
  };
  document.addEventListener("visibilitychange", seenOrNot);
  document.addEventListener("keydown", pressed);
  seenOrNot();
  return () => {
    clearTimeout(waits);
    document.removeEventListener("visibilitychange", seenOrNot);
    document.removeEventListener("keydown", pressed);
  };
}
