/** What `make demo` tells the page of the local system. */
export interface Settings {
  api_url: string;
  assets_url: string;
  users: string[];
}

export interface Session {
  user: string;
  /** The access token, kept in memory alone. */
  token: string;
}

async function answer<T>(response: Response): Promise<T> {
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw found.error ?? `The demo's server answered ${response.status}.`;
  return found as T;
}

export const readSettings = async (): Promise<Settings> => answer(await fetch("/settings.json"));

/** Signs a test user in; where an application has its own sign-in, this takes one click. */
export async function signIn(user: string): Promise<Session> {
  const headers = { "Content-Type": "application/json" };
  const { token } = await answer<{ token: string }>(
    await fetch("/sign-in", { method: "POST", headers, body: JSON.stringify({ user }) }),
  );
  return { user, token };
}
