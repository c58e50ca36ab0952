import { type Activity, AvatarError, createClient, type Profile } from "@avatar-ops/client";
import { Avatar, ProfileForm, ProfileHeading } from "@avatar-ops/react";
import { type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import { type Session, type Settings, readSettings, signIn } from "./server.js";

export function App(): ReactElement {
  const [settings, setSettings] = useState<Settings>();
  const [session, setSession] = useState<Session>();
  const [error, setError] = useState("");

  useEffect(() => {
    readSettings().then(setSettings, (reason: unknown) => setError(String(reason)));
  }, []);

  const enter = (user: string) => {
    setError("");
    signIn(user).then(setSession, (reason: unknown) => setError(String(reason)));
  };

  return (
    <main>
      {error && <p role="alert" className="ao-error">{error}</p>}
      {settings && !session && <SignIn users={settings.users} onSignIn={enter} />}
      {settings && session && (
        <ProfilePage settings={settings} session={session} onSignOut={() => setSession(undefined)} />
      )}
    </main>
  );
}

function SignIn({ users, onSignIn }: { users: string[]; onSignIn: (user: string) => void }): ReactElement {
  return (
    <section>
      <h1>Sign in</h1>
      <p>These are the test users of your local system.</p>
      <ul className="users">
        {users.map((user) => (
          <li key={user}>
            <button type="button" className="ao-button" onClick={() => onSignIn(user)}>
              <Avatar profile={{ display_name: user, avatar_url: "", avatar_variants: {} }} size={32} alt="" /> {user}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface PageProps {
  settings: Settings;
  session: Session;
  onSignOut: () => void;
}

function ProfilePage({ settings, session, onSignOut }: PageProps): ReactElement {
  const [profile, setProfile] = useState<Profile>();
  const [activities, setActivities] = useState<Activity[]>([]);
  const [error, setError] = useState("");
  const [attempt, setAttempt] = useState(0);
  const [editing, setEditing] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  const token = useRef(session.token);

  const client = useMemo(
    () =>
      createClient({
        apiUrl: settings.api_url,
        assetsUrl: settings.assets_url,
        accessToken: async (renew) => {
          if (renew) token.current = (await signIn(session.user)).token;
          return token.current;
        },
      }),
    [settings, session],
  );

  useEffect(() => {
    const stop = new AbortController();
    client.getProfile(session.user, null, stop.signal).then(
      (page) => {
        setProfile(page.profile);
        setActivities(page.activities);
      },
      (reason: unknown) => {
        if (!stop.signal.aborted) setError(reason instanceof AvatarError ? reason.message : String(reason));
      },
    );
    return () => stop.abort();
  }, [client, session, attempt]);

  useEffect(() => {
    if (editing) dialog.current?.showModal();
  }, [editing]);

  if (error)
    return (
      <p role="alert" className="ao-error">
        {error}{" "}
        <button type="button" className="ao-button" onClick={() => { setError(""); setAttempt(attempt + 1); }}>
          Try again
        </button>
      </p>
    );
  if (!profile) return <p role="status">Loading the profile …</p>;
  return (
    <>
      <ProfileHeading profile={profile}>
        <button type="button" className="ao-button ao-primary" onClick={() => setEditing(true)}>Edit the profile</button>{" "}
        <button type="button" className="ao-button" onClick={onSignOut}>Sign out</button>
      </ProfileHeading>
      {editing && (
        <dialog ref={dialog} className="ao-dialog" aria-label="Edit the profile" onClose={() => setEditing(false)}>
          <ProfileForm client={client} profile={profile} onChanged={setProfile} />
          <button type="button" className="ao-button" onClick={() => dialog.current?.close()}>Close</button>
        </dialog>
      )}
      <h2>Activities</h2>
      <ul className="activities">
        {activities.map((activity) => (
          <li key={activity.uuid}>
            <Avatar profile={profile} size={40} alt="" loading="lazy" />
            <div>
              <strong>{profile.display_name}</strong>
              <p>{activity.message}</p>
            </div>
          </li>
        ))}
      </ul>
    </>
  );
}
