import { AvatarError, type Client, type Profile } from "@avatar-ops/client";
import { type FormEvent, type ReactElement, type Ref, useId, useRef, useState } from "react";
import type { Shape } from "./Avatar.js";
import { AvatarUpload } from "./AvatarUpload.js";
import { BannerUpload } from "./BannerUpload.js";
import { characters } from "./initials.js";
import { type Texts, english, filled } from "./texts.js";

export interface ProfileFormProps {
  client: Client;
  profile: Profile;
  shape?: Shape;
  /** Called with the whole profile, after each change that the server has taken. */
  onChanged?: (profile: Profile) => void;
  /** Called when name and bio are saved. */
  onSaved?: (profile: Profile) => void;
  texts?: Partial<Texts>;
}

const MOST = { display_name: 64, bio: 1000 };
type Field = keyof typeof MOST;

/** Edits one's own profile: avatar, banner, display name and bio. */
export function ProfileForm({
  client, profile, shape = "round", onChanged, onSaved, texts: given,
}: ProfileFormProps): ReactElement {
  const texts = { ...english, ...given };
  const [values, setValues] = useState({ display_name: profile.display_name, bio: profile.bio ?? "" });
  const [state, setState] = useState<{ is: "idle" | "saving" | "saved" | "failed"; said?: string; at?: Field }>({ is: "idle" });
  const fields = { display_name: useRef<HTMLInputElement>(null), bio: useRef<HTMLTextAreaElement>(null) };
  const id = useId();

  const save = async (event: FormEvent) => {
    event.preventDefault();
    if (state.is === "saving") return;
    setState({ is: "saving" });
    try {
      // The server learns of a new picture a moment later than this page
      const { avatar_url, avatar_variants, avatar_placeholder, banner_url, banner_variants, banner_placeholder } = profile;
      const changed = {
        ...(await client.updateProfile(values)),
        avatar_url, avatar_variants, avatar_placeholder, banner_url, banner_variants, banner_placeholder,
      };
      setState({ is: "saved" });
      onChanged?.(changed);
      onSaved?.(changed);
    } catch (error) {
      const known = error instanceof AvatarError;
      const at = (Object.keys(MOST) as Field[]).find((name) => known && error.code.startsWith(name));
      setState({ is: "failed", said: known ? error.message : texts.failed, ...(at && { at }) });
      if (at) fields[at].current?.focus();
    }
  };

  const about = (name: Field) => ({
    id: `${id}${name}`,
    name,
    value: values[name],
    "aria-invalid": state.at === name,
    "aria-describedby": `${id}${name}count${state.at === name ? ` ${id}error` : ""}`,
    onChange: (event: { target: { value: string } }) => {
      setValues({ ...values, [name]: event.target.value });
      setState({ is: "idle" });
    },
  });
  const field = (name: Field, label: string) => (
    <div className="ao-field">
      <label htmlFor={`${id}${name}`}>{label}</label>
      {name === "bio" ? (
        <textarea ref={fields.bio as Ref<HTMLTextAreaElement>} rows={4} {...about(name)} />
      ) : (
        <input ref={fields.display_name as Ref<HTMLInputElement>} autoComplete="name" required {...about(name)} />
      )}
      <span id={`${id}${name}count`} className="ao-hint">
        {filled(texts.count, { count: characters(values[name].trim()).length, most: MOST[name] })}
      </span>
      {state.at === name && error}
    </div>
  );
  const error = state.is === "failed" && (
    <p id={`${id}error`} role="alert" className="ao-error">{state.said}</p>
  );
  return (
    <form className="ao-form" onSubmit={(event) => void save(event)} noValidate>
      <AvatarUpload
        client={client} profile={profile} shape={shape} texts={texts}
        onUploaded={({ version: _, ...pictures }) => onChanged?.({ ...profile, ...pictures, avatar_placeholder: null })}
        onRemoved={() => onChanged?.({ ...profile, avatar_variants: {}, avatar_placeholder: null })}
      />
      <BannerUpload
        client={client} profile={profile} texts={texts}
        onUploaded={({ version: _, ...pictures }) => onChanged?.({ ...profile, ...pictures, banner_placeholder: null })}
        onRemoved={(pictures) => onChanged?.({ ...profile, ...pictures, banner_placeholder: null })}
      />
      {field("display_name", texts.displayName)}
      {field("bio", texts.bio)}
      {!state.at && error}
      <div className="ao-buttons">
        <button className="ao-button ao-primary" disabled={state.is === "saving"}>
          {state.is === "saving" ? texts.saving : texts.save}
        </button>
        <p role="status" className="ao-said">{state.is === "saved" ? texts.saved : ""}</p>
      </div>
    </form>
  );
}
